"""Checks of those who work: whether each queue with jobs has workers, and whether they know the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.observe.finding import Verdict, failure, ok, warning

if TYPE_CHECKING:
    from pgqueue.observe.patient import Patient

SHOWN = 5


def workers(patient: Patient) -> Verdict:
    """Every queue with a due job, unless paused, needs a living worker."""
    facts = patient.row("workers")
    said = f"{facts['alive']} alive" + (f", {facts['silent']} silent and not rescued yet" if facts["silent"] else "")
    unserved = [row["queue"] for row in patient.rows("unserved")]
    if unserved:
        names = ", ".join(f'"{queue}"' for queue in unserved[:SHOWN])
        more = f" and {len(unserved) - SHOWN} more" if len(unserved) > SHOWN else ""
        return failure(
            f"{said}; nobody serves {names}{more}, where jobs are due",
            "start workers for them (`pgq work -q`), or pause them",
        )
    if facts["silent"] and not facts["alive"]:
        return failure(said, "start a worker: it rescues the jobs of those that died")
    return ok(said)


def stuck(patient: Patient) -> Verdict:
    """Worker processes that stand still, or have a thread that does not stop."""
    found = patient.rows("stuck")
    if not found:
        return ok("no worker stands still")
    told = ", ".join(
        f"{row['stuck']} for {row['seconds']:.0f} s: worker {row['id']} ({row['host']}, pid {row['pid']})"
        for row in found[:SHOWN]
    )
    more = " and more" if len(found) > SHOWN else ""
    return warning(f"{told}{more}", "`pgq workers --stacks ID` shows where it stands; its jobs run elsewhere")


def tasks(patient: Patient) -> Verdict:
    """Due jobs at the head of their queue whose task no living worker of the queue has registered (I12)."""
    unknown = patient.rows("unknown_tasks")
    if not unknown:
        return ok("workers know the tasks of the jobs that are due")
    told = ", ".join(f'"{row["task"]}" in queue "{row["queue"]}"' for row in unknown[:SHOWN])
    return warning(
        f"no living worker knows {told}", "deploy the code that has them, or `pgq why ID` for names that are alike"
    )
