"""Checks the plans of the hot statements: each has an index made for it, and on a large table any other way is ruin.

Explained, never run, as generic plans under the settings of the function that each is in, as workers get them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import sql
from psycopg.rows import tuple_row

from pgqueue.observe.finding import Verdict, failure, ok, warning
from pgqueue.schema import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.observe.patient import Patient

TRIVIAL_PAGES = 64  # 512 kB: smaller tables may be read from end to end
CHEAP_COST = 1000  # of a statement of some milliseconds; the server's default is 100,000
EXPLAIN = sql.SQL("explain (format json) execute pgq_doctor")
# Takes back what doctor sets for its own statements, which would spoil what is looked at here.
EXAMINING: tuple[LiteralString, ...] = (
    "set local enable_hashjoin to default",
    "set local enable_mergejoin to default",
    "set local enable_seqscan to default",
    "set local jit to default",
)
LEFT: LiteralString = "select true from pg_prepared_statements where name = 'pgq_doctor'"
FORGET: LiteralString = "deallocate pgq_doctor"


@dataclass(frozen=True, slots=True)
class Hot:
    """A statement (`sql/plan_NAME.sql`), the function that it is in, the index that it should go by, and whether that
    brings the order; `arguments` to explain it with.
    """

    name: str
    function: str
    table: str
    index: str
    ordered: bool
    arguments: LiteralString


HOT = (
    Hot("claim", "claim", "queued_jobs", "queued_jobs_claim", True, "('', 0::smallint, now(), 0, '{}', 10)"),
    Hot("alone", "claim_alone", "queued_jobs", "queued_jobs_suspect", True, "('', now(), '{}')"),
    Hot("settle", "settle", "queued_jobs", "queued_jobs_pkey", False, "('{}', '{}')"),
    Hot("key", "hold_key", "job_keys", "job_keys_pkey", False, "('', '')"),
    Hot("arguments", "claim", "job_args", r"job_args_\d+_pkey", False, "(0, current_date)"),
    Hot("wait", "gate", "lane_waits", "lane_waits_pkey", True, "('', '', '', 10)"),
    Hot("history", "", "finished_jobs", r"finished_jobs_\d+_id_idx", False, "(0)"),
)


def plans(patient: Patient) -> Verdict:
    """Explain each, and say which goes another way than by its index on a table that is not small."""
    pages: dict[str, int] = {}
    wrong: list[str] = []
    tables: list[str] = []
    for hot in HOT:
        plan = _explain(patient, hot)
        faults = [
            fault for table, fault in _faults(plan["Plan"], hot) if _pages(patient, table, pages) >= TRIVIAL_PAGES
        ]
        if faults:
            wrong.append(f"{hot.name}: {', '.join(dict.fromkeys(faults))} instead of index {hot.index}")
            tables.append(hot.table)
    if wrong:
        return failure("; ".join(wrong), _remedy(patient, tables))
    return _jit(patient) or ok(f"{len(HOT)} hot statements go by their indexes")


def _jit(patient: Patient) -> Verdict | None:
    """Workers' functions turn it off; enqueues, lists and pages do not."""
    patient.conn.execute("set local jit to default")
    found = patient.rows("eager_jit", cost=CHEAP_COST)
    if not found:
        return None
    said = f"jit_above_cost is {found[0]['setting']}: short statements are compiled before they are run"
    return warning(said, _reset(**found[0]))


def _explain(patient: Patient, hot: Hot) -> dict[str, Any]:
    """Return the plan. What is set is set back, what is prepared is forgotten."""
    settings = patient.rows("function_settings", function=hot.function)
    pairs = [pair.partition("=") for row in settings for pair in row["settings"]]
    with patient.conn.transaction(force_rollback=True), patient.conn.cursor(row_factory=tuple_row) as cursor:
        if cursor.execute(LEFT).fetchone():  # by an examination that failed, behind a pooler
            cursor.execute(FORGET)
        for forget in EXAMINING:
            cursor.execute(forget)
        for name, _, value in pairs:
            cursor.execute("select set_config(%s, %s, true)", (name, value))
        cursor.execute("set local plan_cache_mode = force_generic_plan")
        patient.run(f"plan_{hot.name}")
        row = cursor.execute(sql.Composed([EXPLAIN, sql.SQL(hot.arguments)])).fetchone()
        cursor.execute(FORGET)
    plan: dict[str, Any] = row[0][0] if row else {}
    return plan


def _faults(node: dict[str, Any], hot: Hot) -> Iterator[tuple[str, str]]:
    """Yield the table and the way of each node that is not as it should be."""
    kind, table = node["Node Type"], node.get("Relation Name")
    if kind == "Seq Scan":
        yield table or hot.table, f"Seq Scan on {table}"
    elif "Sort" in kind and hot.ordered:
        yield hot.table, kind
    elif table and "Index Name" in node and not re.fullmatch(hot.index, node["Index Name"]):
        yield table, f"{kind} by {node['Index Name']}"
    elif kind == "Bitmap Index Scan" and hot.ordered:
        yield hot.table, kind
    for part in node.get("Plans", []):
        yield from _faults(part, hot)


def _pages(patient: Patient, table: str, known: dict[str, int]) -> int:
    if table not in known:
        known[table] = patient.row("table_pages", table=table)["pages"]
    return known[table]


def _remedy(patient: Patient, tables: list[str]) -> str:
    settings = patient.rows("planner_settings")
    if settings:
        return " ".join(_reset(**row) for row in settings)
    names = ", ".join(f"{patient.quoted}.{identifier(table)}" for table in dict.fromkeys(tables))
    return f"analyze {names}; -- where `drift` misses the index, make it first: `pgq doctor --sql`"


def _reset(*, name: str, setting: str, source: str, role: str, database: str) -> str:
    """Say how a setting is taken back where it was made."""
    match source:
        case "database":
            return f"alter database {identifier(database)} reset {name};"
        case "user":
            return f"alter role {identifier(role)} reset {name};"
        case "database user":
            return f"alter role {identifier(role)} in database {identifier(database)} reset {name};"
        case "client" | "session":
            return f"{name} = {setting} comes with this connection: take it out of the DSN's options, or PGOPTIONS;"
        case _:
            return f"alter system reset {name}; select pg_reload_conf(); -- or take it out of postgresql.conf"
