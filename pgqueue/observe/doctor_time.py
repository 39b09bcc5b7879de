"""Checks of time: this machine's clock against the database's, schedules that are late, statistics that stand still."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pgqueue.observe.finding import Verdict, failure, ok, warning

if TYPE_CHECKING:
    from pgqueue.observe.patient import Patient

SHOWN = 5
ROUNDS = 3  # the quickest tells most
SKEW_SECONDS = 2.0
LATE_SECONDS = 60  # workers tick within a second
FOLD_SECONDS = 300  # the keeper folds every few seconds


def clock(patient: Patient) -> Verdict:
    """The database's clock decides what is due, so skew harms no job: it makes logs and traces of machines disagree."""
    rounds = [_compare(patient) for _ in range(ROUNDS)]
    skew, doubt = min(rounds, key=lambda one: one[1])
    side = "ahead of" if skew > 0 else "behind"
    said = f"this machine's clock is {abs(skew):.3f} s {side} the database's (give or take {doubt:.3f} s)"
    if abs(skew) - doubt <= SKEW_SECONDS:
        return ok(said)
    return warning(
        f"{said}: jobs are not harmed, but times in its logs and traces do not agree with the queue's",
        "synchronise both machines' clocks (timedatectl, chronyc tracking)",
    )


def schedules(patient: Patient) -> Verdict:
    """Schedules whose tick is overdue, or that cannot tell when they are due."""
    found = patient.rows("late_schedules", seconds=LATE_SECONDS)
    if not found:
        return ok("none is late")
    told = [
        f'"{row["name"]}" ' + (f"cannot tick: {row['error']}" if row["error"] else f"is {row['late']:.0f} s late")
        for row in found[:SHOWN]
    ]
    said = "; ".join(told) + (f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    if not found[0]["alive"]:
        return failure(f"no worker is alive to tick: {said}", "start a worker: any one ticks all schedules")
    if any(row["error"] for row in found):
        return warning(said, "mend it in the code, or `pgq schedules add` it again as it should be, or pause or rm it")
    return warning(said, "look into the workers' logs; `pgq schedules ls`")


def statistics(patient: Patient) -> Verdict:
    """Whether the numbers of `pgq stats`, metrics and the dashboard are of now."""
    facts = patient.row("folded")
    if facts["worked_seconds"] is None:
        return ok("no worker of this version is alive, so nothing is folded")
    behind = min(facts["behind_seconds"], facts["worked_seconds"])
    said = f"folded up to {behind:.0f} s ago"
    if behind <= FOLD_SECONDS:
        return ok(said)
    return warning(
        f"{said}: rates and charts are old",
        f"select {patient.quoted}.fold_statistics(); -- workers do so by themselves: their logs say why they cannot",
    )


def _compare(patient: Patient) -> tuple[float, float]:
    """Return by how many seconds our clock is ahead of the database's, and half of the round trip: the doubt."""
    began, sent = time.monotonic(), now()
    theirs = patient.row("clock")["now"]
    half = (time.monotonic() - began) / 2
    return sent + half - theirs, half


def now() -> float:
    """This machine's clock, in seconds since 1970."""
    return time.time()
