"""Checks of the server: its version and settings, what stands in between, and what may fill up or be held up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue.observe.finding import Verdict, failure, ok, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pgqueue.observe.patient import Patient

OLDEST = 15
AHEAD_DAYS = 7  # of 14 that workers make, hourly
FULL_SOON, FULL_ALMOST = 0.1, 0.5
LONG_MINUTES = 10
LONG_TRANSACTIONS = 1_000_000


def server(patient: Patient) -> Verdict:
    """Its version, and whether it can be written to."""
    facts = patient.row("server")
    said = f"PostgreSQL {facts['version']}, up since {facts['started_at']:%Y-%m-%d %H:%M:%SZ}"
    if facts["major"] < OLDEST:
        return failure(f"{said}: too old", f"use PostgreSQL {OLDEST} or later")
    if facts["standby"]:
        return warning(
            f"{said}: a standby, to which nothing can be written", "add target_session_attrs=read-write to the DSN"
        )
    if facts["read_only"]:
        return failure(f"{said}: transactions are read-only", "set default_transaction_read_only = off")
    return ok(said if facts["timeline"] is None else f"{said}, timeline {facts['timeline']}")


def durability(patient: Patient) -> Verdict:
    """Whether a crash may lose what was acknowledged."""
    facts = patient.row("durability")
    broken = [name for name in ("fsync", "full_page_writes") if not facts[name]]
    if broken:
        return failure(
            f"{' and '.join(broken)} off: a crash of the machine may destroy the database", f"turn {broken[0]} on"
        )
    if facts["synchronous_commit"] == "off":
        return warning(
            "synchronous_commit is off: a crash loses jobs that were acknowledged in the moments before",
            "turn it on, at least for the roles of producers and workers",
        )
    return ok(f"fsync and full_page_writes on, synchronous_commit {facts['synchronous_commit']}")


def pooler(patient: Patient) -> Verdict:
    """A pooler shows itself by another backend's pid."""
    backend = patient.row("backend")["pid"]
    if backend == patient.conn.info.backend_pid:
        return ok("none: this connection is direct")
    return warning(
        "this connection goes through a pooler: LISTEN does not pass it in transaction mode",
        "for workers with this DSN add --listen-dsn with a direct address, or --no-listen (docs/operations.md)",
    )


def notifications(patient: Patient) -> Verdict:
    """The queue of notifications is the whole server's; when it is full, commits with NOTIFY fail."""
    used = patient.row("notifications")["used"]
    said = f"the notification queue is {used:.1%} full"
    remedy = "look for a listener that is frozen or idle in transaction (pg_stat_activity) and end it"
    if used >= FULL_ALMOST:
        return failure(said, remedy)
    return warning(said, remedy) if used >= FULL_SOON else ok(said)


def horizon(patient: Patient) -> Verdict:
    """What keeps vacuum from removing dead rows: old transactions, prepared ones, slots, standbys."""
    holders = [holder for holder in patient.rows("horizon") if holder["what"] and _is_long(holder)]
    if not holders:
        return ok(f"no transaction is older than {LONG_MINUTES} min")
    told = "; ".join(f"{holder['what']}, for {holder['seconds'] / 60:.0f} min" for holder in holders[:5])
    return warning(
        f"vacuum cannot clean up behind {told}", "end what is not needed: pg_terminate_backend, rollback prepared, drop"
    )


def _is_long(holder: Mapping[str, Any]) -> bool:
    """Of standbys and slots it is not known since when: many transactions stand for long."""
    known = holder["kind"] in {"transaction", "prepared"}
    return bool(holder["seconds"] > LONG_MINUTES * 60 and (known or holder["transactions"] > LONG_TRANSACTIONS))


def partitions(patient: Patient) -> Verdict:
    """Days for which history and arguments have their partitions. A settle that misses one has to make it."""
    tables = patient.rows("partitions")
    least = min(tables, key=lambda table: table["days"])
    said = f"made {least['days']} days ahead"
    if least["days"] >= AHEAD_DAYS:
        return ok(said)
    remedy = "workers make them hourly as the role that owns the schema: is one running, and what does its log say?"
    said = f"{least['name']} is {said}"
    return failure(said, remedy) if least["days"] < 1 else warning(said, remedy)
