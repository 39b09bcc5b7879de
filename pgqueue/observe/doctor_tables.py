"""Checks of the tables' upkeep: whether autovacuum may and does clean up, and what has grown beyond its rows.

All from the server's own counters: no table is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue.observe.finding import Verdict, failure, ok, warning
from pgqueue.schema import identifier

if TYPE_CHECKING:
    from pgqueue.observe.patient import Patient

SHOWN = 5
BEHIND = 10  # times the dead rows at which autovacuum comes
MINUTES = 10  # without a vacuum: it looks once a minute (autovacuum_naptime)
OLD, DANGEROUS = 1.2, 5.0  # times autovacuum_freeze_max_age, at which it would have come; writes end at some 10 times
FLOOR_BYTES = 128 << 20  # what is smaller costs nobody anything
GROWN = 6  # times what the live rows take
ENTRY_BYTES = 100  # of an index, on average: a queue's name, three numbers


def autovacuum(patient: Patient) -> Verdict:
    """Whether it runs, for all tables, and keeps up: with dead rows, and with the age of transaction ids."""
    facts = patient.row("autovacuum")
    off = [name for name in ("autovacuum", "track_counts") if not facts[name]]
    if off:
        return failure(
            f"{' and '.join(off)} off: nothing removes dead rows, the tables grow and claims get slow",
            f"alter system set {off[0]} = on; select pg_reload_conf(); -- as a superuser",
        )
    tables = patient.rows("tables")
    return _ages(facts, tables, patient) or _upkeep(tables, patient) or ok(_summary(tables))


def bloat(patient: Patient) -> Verdict:
    """Tables and indexes whose files are far larger than their live rows explain."""
    where = patient.quoted
    told, remedies = [], []
    for table in patient.rows("tables"):
        if table["wanted"] is not None and _grown(table["bytes"], table["wanted"]):
            told.append(f"table {table['name']} takes {_size(table['bytes'])} for {table['live']} live rows")
            remedies.append(f"vacuum (truncate, index_cleanup on) {where}.{identifier(table['name'])};")
    packed = bool(remedies)
    for index in patient.rows("indexes"):
        if _grown(index["bytes"], index["live"] * ENTRY_BYTES):
            told.append(f"index {index['name']} takes {_size(index['bytes'])} for {index['live']} live rows")
            remedies.append(f"reindex index concurrently {where}.{identifier(index['name'])};")
    if not told:
        return ok("files are as large as their rows explain")
    advice = " -- first see to what `horizon` names; where that does not help, pg_repack" if packed else ""
    return warning("; ".join(_some(told)), " ".join(remedies[:SHOWN]) + advice)


def _grown(size: int, wanted: int) -> bool:
    return size >= FLOOR_BYTES and size > GROWN * wanted


def _ages(facts: dict[str, Any], tables: list[dict[str, Any]], patient: Patient) -> Verdict | None:
    """Say so when transaction ids run out: vacuum should have frozen these rows and did not."""
    most = facts["freeze_max_age"]
    old = sorted((table for table in tables if table["age"] > OLD * most), key=lambda table: -table["age"])
    if not old and facts["age"] <= OLD * most:
        return None
    age = max([facts["age"], *(table["age"] for table in old)])
    said = f"transaction ids of {age} ago are not frozen, vacuum should have come at {most}"
    names = ", ".join(table["name"] for table in old[:SHOWN]) or f'other tables of database "{facts["database"]}"'
    what = _vacuum("freeze", old, patient) if old else "vacuum (freeze);"
    remedy = f"{what} -- and end what `horizon` names; at 2 billion the server takes no more writes"
    return (failure if age > DANGEROUS * most else warning)(f"{said}: {names}", remedy)


def _upkeep(tables: list[dict[str, Any]], patient: Patient) -> Verdict | None:
    where = patient.quoted
    off = [table for table in tables if not table["enabled"]]
    if off:
        remedy = " ".join(
            f"alter table {where}.{identifier(t['name'])} reset (autovacuum_enabled);" for t in off[:SHOWN]
        )
        return warning(f"autovacuum is off for {', '.join(_some([table['name'] for table in off]))}", remedy)
    behind = [t for t in tables if t["dead"] > BEHIND * t["threshold"] and t["minutes"] > MINUTES]
    if not behind:
        return None
    told = [
        f"{t['name']} has {t['dead']} dead rows and {t['live']} live ones, no vacuum for {t['minutes']:.0f} min"
        for t in behind
    ]
    remedy = _vacuum("analyze", behind, patient)
    return warning(
        "; ".join(_some(told)),
        f"{remedy} -- if that removes nothing see `horizon`, if it is needed again raise autovacuum_max_workers",
    )


def _vacuum(option: str, tables: list[dict[str, Any]], patient: Patient) -> str:
    names = ", ".join(f"{patient.quoted}.{identifier(table['name'])}" for table in tables[:SHOWN])
    return f"vacuum ({option}) {names};"


def _summary(tables: list[dict[str, Any]]) -> str:
    dead = sum(table["dead"] for table in tables)
    return f"on and keeping up: {dead} dead rows in {len(tables)} tables"


def _some(told: list[str]) -> list[str]:
    return told if len(told) <= SHOWN else [*told[:SHOWN], f"{len(told) - SHOWN} more"]


def _size(size: int) -> str:
    return f"{size / (1 << 20):.0f} MB"
