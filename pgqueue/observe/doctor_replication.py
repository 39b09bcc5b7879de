"""Checks of replication: whether standbys are waited for, and what a failover lost (see worker/reconcile.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue.observe.finding import Status, Verdict, failure, ok

if TYPE_CHECKING:
    from pgqueue.observe.patient import Patient

SHOWN = 20
DAYS = 30
ORDER = list(Status)
MEANING = {
    "gone": "{count} jobs that workers had run or were running are gone (ids {ids})",
    "again": "{count} jobs whose end was lost run again (ids {ids})",
    "undone": "{count} claims were undone, their jobs run again (ids {ids})",
    "released": "{count} jobs whose end was lost, but not their claim, were handed back (ids {ids})",
}


def replication(patient: Patient) -> Verdict:
    """Standbys that are attached, and whether commits wait for one."""
    facts = patient.row("replication")
    if not facts["standbys"]:
        return ok("no standby is attached")
    if not facts["synchronous"]:
        return ok(
            f"{facts['standbys']} standbys, none waited for: a failover may lose jobs that were acknowledged",
            "set synchronous_standby_names if that must not be (docs/failover.md)",
        )
    return ok(f"{facts['standbys']} standbys, commits wait for {facts['synchronous']}")


def failover(patient: Patient) -> Verdict:
    """What workers noticed when another timeline answered, until an operator dismisses it."""
    failovers = patient.rows("failovers", days=DAYS)
    if not failovers:
        return ok(f"no failover was noticed in the last {DAYS} days")
    verdicts = [_judge(failover, patient.rows("failover_jobs", **_key(failover))) for failover in failovers]
    worst = max((verdict.status for verdict in verdicts), key=ORDER.index)
    if worst is Status.OK:
        return ok("; ".join(verdict.detail for verdict in verdicts))
    return failure(
        "; ".join(verdict.detail for verdict in verdicts),
        "enqueue again what is missing (docs/failover.md), then `pgq doctor --dismiss-failovers`",
    )


def _key(failover: dict[str, Any]) -> dict[str, Any]:
    return {"system": failover["system_identifier"], "timeline": failover["timeline"], "shown": SHOWN}


def _judge(failover: dict[str, Any], jobs: list[dict[str, Any]]) -> Verdict:
    noticed = f"{failover['noticed_at']:%Y-%m-%d %H:%M:%SZ}"
    head = f"timeline {failover['timeline']} after {failover['old_timeline']}, noticed {noticed}"
    lost = failover["lost_bytes"] or 0
    kept = f" after {failover['kept_at']:%H:%M:%S.%fZ}" if failover["kept_at"] else ""
    told = [_jobs(row) for row in jobs]
    if lost > 0:
        told.append(
            f"{lost} bytes of acknowledged log{kept} are lost, up to {failover['seen_at']:%H:%M:%S.%fZ} at least: "
            "jobs enqueued then that no worker had seen are gone too, and cannot be listed here"
        )
    if told:
        return failure(f"{head}: {'; '.join(told)}", "")
    until = f"; all until {failover['kept_at']:%H:%M:%S.%fZ} is there" if failover["kept_at"] else ""
    return ok(f"{head}: nothing that workers knew of is missing{until}")


def _jobs(row: dict[str, Any]) -> str:
    ids = ", ".join(map(str, row["ids"])) + (", ..." if row["jobs"] > len(row["ids"]) else "")
    return MEANING[row["finding"]].format(count=row["jobs"], ids=ids)
