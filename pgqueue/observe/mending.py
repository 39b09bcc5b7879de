"""The statements that bring an object of the schema back to what it is at head. No I/O: `pgq doctor --sql` prints them.

None takes rows away. What no statement can bring back without knowing more (a table, the type of a column) is a comment
that says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgqueue.observe import blueprint
from pgqueue.schema import identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgqueue.observe.blueprint import Facts

ORDER = ("table", "sequence", "column", "constraint", "index", "trigger", "function", "view")


@dataclass(frozen=True, slots=True)
class Difference:
    """One object: what it should be (None: should not be there) and what it is (None: is missing)."""

    kind: str
    name: str
    wanted: Facts | None
    found: Facts | None

    def __str__(self) -> str:
        if self.wanted is None:
            return f"{self.kind} {self.name} is {'invalid' if self.invalid else 'not ours'}"
        if self.found is None:
            return f"{self.kind} {self.name} is missing"
        if self.invalid:
            return f"{self.kind} {self.name} is invalid"
        return f"{self.kind} {self.name} differs ({', '.join(blueprint.differing(self.wanted, self.found))})"

    @property
    def invalid(self) -> bool:
        """Whether it is there and does not hold or work, as what a failed CREATE INDEX CONCURRENTLY leaves."""
        return self.found is not None and self.found.get("valid") is False

    @property
    def grave(self) -> bool:
        """Whether something of ours is not as it should be, rather than something there that is not ours."""
        return self.wanted is not None


def script(differences: list[Difference], schema: str) -> list[str]:
    """Return statements, each ended by a semicolon, and comments, in an order in which they can be run."""
    made = list(blueprint.sources(schema))  # the order in which functions and views can be made

    def place(one: Difference) -> tuple[int, str]:
        name = (one.kind, one.name)
        return (len(ORDER) + made.index(name), "") if name in made else (ORDER.index(one.kind), one.name)

    ordered = sorted(differences, key=place)
    lines = [line for one in ordered for line in _mend(one, schema)]
    if not any(one.found is None and one.kind in ("function", "view", "sequence") for one in ordered):
        return lines
    # What is made anew has the server's default grants: as in the migration, PUBLIC loses its own.
    where = identifier(schema)
    return [
        *lines,
        f"revoke execute on all functions in schema {where} from public;",
        f"select role, state from {where}.grant_roles();",  # noqa: S608  # nosec B608 # a quoted identifier
    ]


def _mend(one: Difference, schema: str) -> list[str]:
    where = identifier(schema)
    table, _, part = one.name.partition(".")
    here = f"{where}.{identifier(table)}"
    match one.kind:
        case "index":
            return _index(one, where)
        case "function" | "view":
            return _code(one, schema)
        case "column":
            return list(_column(one, here, identifier(part)))
        case "constraint" | "trigger":
            return _part(one, here, identifier(part), where)
        case "sequence" if one.wanted is not None:
            word = "create" if one.found is None else "alter"
            return [f"{word} sequence {here} as {one.wanted['type']} increment {one.wanted['increment']};"]
        case _:
            return [_by_hand(one)]


def _index(one: Difference, where: str) -> list[str]:
    name = f"{where}.{identifier(one.name)}"
    facts = one.found or one.wanted or {}
    slowly = "" if facts.get("parts") else " concurrently"
    if one.invalid and facts.get("partition"):
        return [f"reindex index{slowly} {name};"]
    if one.wanted is None:
        return [f"drop index{slowly} {name};"] if one.invalid else [_by_hand(one)]
    if one.invalid:
        return [f"reindex index{slowly} {name};"]
    drop = [] if one.found is None else [f"drop index{slowly} {name};"]
    made = str(one.wanted["definition"]).replace(" ON ONLY ", " ON ", 1).replace(" ON ", f" ON {where}.", 1)
    return [*drop, re.sub(r"^(CREATE (?:UNIQUE )?INDEX)", rf"\1{slowly}", made) + ";"]


def _code(one: Difference, schema: str) -> list[str]:
    if one.wanted is None:
        return [_by_hand(one)]
    text = blueprint.sources(schema)[one.kind, one.name]
    text = re.sub(r"\Acreate (?=function|view)", "create or replace ", text)
    changed = one.found is not None and set(blueprint.differing(one.wanted, one.found)) & {"arguments", "result"}
    drop = [f"drop function {identifier(schema)}.{identifier(one.name)};"] if changed else []
    return [*drop, text]


def _column(one: Difference, table: str, column: str) -> Iterator[str]:
    if one.wanted is None or one.wanted["identity"] or one.wanted["generated"]:
        yield _by_hand(one)
        return
    default = one.wanted["default"]
    if one.found is None:
        required = " not null" if one.wanted["not null"] else ""
        given = f" default {default}" if default else ""
        yield f"alter table {table} add column {column} {one.wanted['type']}{given}{required};"
        return
    for fact in blueprint.differing(one.wanted, one.found):
        match fact:
            case "default":
                yield f"alter table {table} alter column {column} " + (
                    f"set default {default};" if default else "drop default;"
                )
            case "not null":
                yield f"alter table {table} alter column {column} {'set' if one.wanted[fact] else 'drop'} not null;"
            case _:
                yield _by_hand(one)


def _part(one: Difference, table: str, name: str, where: str) -> list[str]:
    if one.wanted is None or one.kind == "trigger":
        return [_by_hand(one)]
    if one.invalid and one.found is not None and blueprint.differing(one.wanted, one.found) == ["valid"]:
        return [f"alter table {table} validate constraint {name};"]
    drop = [] if one.found is None else [f"alter table {table} drop constraint {name};"]
    definition = re.sub(r"\bREFERENCES ", f"REFERENCES {where}.", str(one.wanted["definition"]))
    return [*drop, f"alter table {table} add constraint {name} {definition};"]


def _by_hand(one: Difference) -> str:
    if one.wanted is None:
        return f"-- {one}: unless you want it there, drop it"
    return f"-- {one}: by hand, as migrations/schema.sql has it, or from a backup"
