"""Checks of what can never be if the engine is right: a finding here is a bug of pgqueue, or of hands in its tables.

Each looks at the whole of a small table and at a sample of a large one, in one statement: within one snapshot these
hold at any moment (I6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.observe.finding import Verdict, failure, ok

if TYPE_CHECKING:
    from pgqueue.observe.patient import Patient

REMEDY = "a bug, unless somebody changed the tables by hand: keep the rows, and report it with `pgq jobs show ID`"


def leases(patient: Patient) -> Verdict:
    """A running job has a worker, alive or to be rescued: else nobody would ever hand it on."""
    return _none(patient, "orphaned_jobs", table="queued_jobs", bad="jobs run for workers that do not exist")


def arguments(patient: Patient) -> Verdict:
    """An unfinished job has its arguments."""
    return _none(patient, "missing_arguments", table="queued_jobs", bad="unfinished jobs have lost their arguments")


def keys(patient: Patient) -> Verdict:
    """A key without a period belongs to an unfinished job: else nobody could ever enqueue under it again."""
    return _none(patient, "idle_keys", table="job_keys", bad="keys are held by jobs that are not unfinished")


def permits(patient: Patient) -> Verdict:
    """A permit belongs to an unfinished job: else it would be out for ever."""
    return _none(patient, "idle_permits", table="permits", bad="permits are held by jobs that do not exist")


def limits(patient: Patient) -> Verdict:
    """What a limit counts as out is what its permits add up to."""
    return _none(patient, "miscounted_lanes", table="lanes", bad="limits count other permits than are out")


def lines(patient: Patient) -> Verdict:
    """Who stands in a line is an unfinished job."""
    return _none(patient, "idle_waits", table="lane_waits", bad="places in lines are kept for jobs that do not exist")


def _none(patient: Patient, name: str, *, table: str, bad: str) -> Verdict:
    rows, share = patient.sample(name, table=table)
    looked = "" if share >= 100 else f" ({share:.2g}% of the table looked at)"
    if not rows:
        return ok(f"in order{looked}")
    shown = ", ".join(str(row["what"]) for row in rows[:10])
    return failure(f"{bad}: {shown}{looked}", REMEDY)
