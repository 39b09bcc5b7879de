"""Freezes the living SQL text into a revision: `python migrations/freeze.py 0001_initial`.

    versions/REVISION.tables.sql        written by hand: tables, indexes, data
    functions/*.sql                     the living text of functions and views, created in the order of the file names
    versions/REVISION.after.sql         by hand, optional: what needs the functions (triggers, first partitions)
    versions/REVISION.tables.down.sql   by hand, for all revisions but the first: how to take the tables back

make REVISION.up.sql and REVISION.down.sql. A revision gets the functions whose text differs from the text frozen last,
and its .down.sql brings that text back. Only the newest revision can be frozen, and once it is released it must not be.

`python migrations/freeze.py --dump DSN` migrates an empty database and writes schema.sql, the readable sum of all
revisions, with the pg_dump of $PGQ_PG_BIN or of the path.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).parent
SECTION = "-- functions/"
END = "-- end of functions/"

_SILENT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|(\$\w*\$).*?\1", re.DOTALL)
_CREATE = re.compile(
    r"\bcreate\s+(?:or\s+replace\s+)?(?:unlogged\s+)?"
    r"(?P<kind>table|sequence|type|domain|function|procedure|view|materialized\s+view)\s+"
    r"(?:if\s+not\s+exists\s+)?(?P<name>pgqueue\.\w+)(?!\w)(?!\s+partition\s+of)"
    r"|\bcreate\s+(?:or\s+replace\s+)?(?:constraint\s+)?trigger\s+(?P<trigger>\w+)\b.*?\bon\s+(?P<table>pgqueue\.\w+)",
    re.DOTALL | re.IGNORECASE,
)
_CODE = re.compile(r"\bcreate\s+(?:or\s+replace\s+)?(?=function|procedure|view)", re.IGNORECASE)
_HEAD = re.compile(r"\bcreate or replace (?:view.*|.*?\b(?=language\b|as\b|return\b|begin\b))", re.DOTALL | re.IGNORECASE)
_NOISE = re.compile(r"^(--.*|\\(un)?restrict .*|SET .*|SELECT pg_catalog\.set_config.*)?$\n?", re.MULTILINE)


class FreezeError(Exception):
    """The text cannot become a revision; the message says what to change."""


def freeze(revision: str, root: Path = HERE) -> None:
    """Write the revision's .up.sql and .down.sql."""
    versions = root / "versions"
    later = sorted(file.name for file in versions.glob("*.up.sql") if file.name > f"{revision}.up.sql")
    if later:
        raise FreezeError(f"{revision} is not the newest revision ({later[-1]} is): make a new one")
    if len(revision) > 32:  # alembic_version.version_num
        raise FreezeError(f"{revision}: the name of a revision has at most 32 characters")
    tables, after, tables_down = (
        _text(versions / f"{revision}.{part}.sql") for part in ("tables", "after", "tables.down")
    )
    before = frozen_functions(root, before=revision)
    living = living_functions(root)
    _check_names(living)
    parts = "".join(_change(name, before.get(name), living.get(name)) for name in _changed(before, living))
    up = f"-- Written by freeze.py. Change the parts and freeze again, until it is released.\n{tables}\n{parts}{END}\n{after}"
    if before:
        back = "".join(_change(name, living.get(name), before.get(name)) for name in reversed(_changed(before, living)))
        down = f"{back}\n{tables_down}"
    else:
        down = "\n".join(reversed(list(_drops(up)))) + "\n"
    (versions / f"{revision}.up.sql").write_text(up, encoding="utf-8")
    (versions / f"{revision}.down.sql").write_text(f"-- Written by freeze.py.\n{down}", encoding="utf-8")


def living_functions(root: Path = HERE) -> dict[str, str]:
    """Return the living text by file name, in the order of creation."""
    return {file.name: _text(file) for file in sorted((root / "functions").glob("*.sql"))}


def frozen_functions(root: Path = HERE, *, before: str = "~") -> dict[str, str]:
    """Return the text that the revisions before this one leave in the database, by file name."""
    functions: dict[str, str] = {}
    for file in sorted((root / "versions").glob("*.up.sql")):
        if file.name >= f"{before}.up.sql":
            break
        for section in file.read_text(encoding="utf-8").partition(END)[0].split(f"\n{SECTION}")[1:]:
            name, _, text = section.partition("\n")
            functions[name] = _replacing(text)
    return {name: text for name, text in sorted(functions.items()) if created(text)}


def created(text: str) -> list[str]:
    """Return the names of the functions and views that this text creates."""
    found = _CREATE.finditer(_SILENT.sub("''", text))
    return [match["name"] for match in found if match["name"] and match["kind"].lower() in ("function", "view", "procedure")]


def dump(dsn: str) -> str:
    """Return pg_dump's text of the schema: without its noise, and without partitions, whose names are dates."""
    import psycopg

    with psycopg.connect(dsn) as conn:
        partitions = conn.execute(
            "select c.relname from pg_class c where relispartition and relnamespace = 'pgqueue'::regnamespace order by 1"
        ).fetchall()
    program = Path(os.environ.get("PGQ_PG_BIN", ""), "pg_dump")
    skip = [f"--exclude-table=pgqueue.{name}" for (name,) in partitions]
    command = [str(program), "--schema-only", "--no-owner", "--schema=pgqueue", *skip, f"--dbname={dsn}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout  # noqa: S603
    return normalised(text)


def normalised(text: str) -> str:
    """Strip from pg_dump's text what changes with its version: comments, settings, empty lines."""
    return _NOISE.sub("", text)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() + "\n" if file.exists() else ""


def _check_names(living: Mapping[str, str]) -> None:
    names = [name for text in living.values() for name in created(text)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise FreezeError(f"{', '.join(twice)}: created twice; a name has one form, so that drops need no arguments")
    for file, text in living.items():
        if not created(text):
            raise FreezeError(f"functions/{file} creates no function and no view")


def _changed(before: Mapping[str, str], living: Mapping[str, str]) -> list[str]:
    def same(name: str) -> bool:
        return _replacing(before.get(name, "")) == _replacing(living.get(name, ""))

    return [name for name in sorted({*before, *living}) if not same(name)]


def _change(name: str, old: str | None, new: str | None) -> str:
    """Return one section: how the database gets from the old text of a file to the new."""
    heads_changed = old is not None and (new is None or _heads(old) != _heads(new))
    drop = "".join(f"{line}\n" for line in reversed(list(_drops(old or "")))) if heads_changed else ""
    return f"{SECTION}{name}\n{drop}{new if old is None else _replacing(new or '')}"


def _heads(text: str) -> list[str]:
    """What `create or replace` cannot change: names, arguments and the types returned; of views the whole text."""
    return [" ".join(head.split()) for head in _HEAD.findall(_SILENT.sub("''", _replacing(text)))]


def _replacing(text: str) -> str:
    return _CODE.sub("create or replace ", text)


def _drops(text: str) -> Iterator[str]:
    """Yield a statement for each thing that the text creates; in reverse they undo it."""
    for match in _CREATE.finditer(_SILENT.sub("''", text)):
        if match["trigger"]:
            yield f"drop trigger {match['trigger']} on {match['table']};"
        else:  # a sequence may have gone with the table that owns it
            exists = "if exists " if match["kind"].lower() == "sequence" else ""
            yield f"drop {match['kind'].lower()} {exists}{match['name']};"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", help="freeze this revision")
    parser.add_argument("--dump", metavar="DSN", help="an empty database: migrate it, write schema.sql")
    given = parser.parse_args()
    if given.revision:
        freeze(given.revision)
    if given.dump:
        sys.path.insert(0, str(HERE.parent))
        from pgqueue.migrate import upgrade

        upgrade(given.dump)
        (HERE / "schema.sql").write_text(dump(given.dump), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
