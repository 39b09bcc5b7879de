"""Freezes the living SQL text into a revision: `python migrations/freeze.py 0001_initial`.

    versions/REVISION.tables.sql        written by hand: tables, indexes, data
    functions/*.sql                     the living text of functions and views, created in the order of the file names
    versions/REVISION.after.sql         by hand, optional: what needs the functions (triggers, first partitions)
    versions/REVISION.tables.down.sql   by hand, for all revisions but the first: how to take the tables back

make REVISION.up.sql and REVISION.down.sql. A revision gets the functions whose text differs from the text frozen last,
and whatever file creates none (privileges); its .down.sql brings the old text back. Only the newest revision can be
frozen, and once it is released it must not be. A new revision begins as a copy of 0001_initial.py: name, title,
down_revision, and whether it may hold up those who use the queue (may_lock).

Workers and producers of the release before go on while a revision is applied, and after it (docs/upgrading.md). So a
revision is of one of three kinds:

    expand      adds: tables, columns with constant defaults or none, functions, arguments at the end with defaults,
                columns of views at the end. Nothing that the release before calls is dropped or given another meaning,
                no table is rewritten. A function that is called all the time keeps its arguments: one that is dropped
                and made again can fail a call that is on its way.
    contract    takes away what only older versions use, and says so: `needs = "0.3.0"`, the oldest that can work on
                what is left. `pgq migrate` refuses it while older workers are alive, and older ones cannot register
                afterwards.
    concurrent  `concurrently = True`: its .tables.sql holds `create index concurrently NAME on ...;` and its like, each
                statement ending a line, run one by one outside of a transaction; nothing else, and no functions. What
                is there and valid is passed over, what was left unfinished is dropped and built again. Its
                .tables.down.sql is run in a transaction: plain `drop index`.

`python migrations/freeze.py --dump` migrates a database of its own and writes schema.sql, the readable sum of all
revisions, with the pg_dump of the server that pgqueue.embedded finds (18: others word it otherwise), and
catalogue.json, the objects that `pgq doctor` expects.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).parent
SECTION = "-- functions/"
HEADER = "-- Written by freeze.py: change the parts and freeze again, until it is released.\n"
GONE = "-- gone\n"
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
_HEAD = re.compile(
    r"\bcreate or replace (?:view.*|.*?\b(?=language\b|as\b|return\b|begin\b))", re.DOTALL | re.IGNORECASE
)
_DROPS = re.compile(r"\A(?:drop (?:function|procedure|view) [^\n]*;\n)+")  # before what is made again
_VIEW = "create or replace view "
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
    if concurrent(versions / f"{revision}.py") and _changed(before, living):
        raise FreezeError(f"{revision} builds concurrently: functions change in a revision of their own")
    parts = "".join(_change(name, before.get(name), living.get(name)) for name in _changed(before, living))
    up = f"{HEADER}{tables}\n{parts}{END}\n{after}"
    if before:
        names = reversed(_changed(before, living))
        back = "".join(_change(name, living.get(name), before.get(name), back=True) for name in names)
        down = f"{back}\n{tables_down}"
    else:
        down = "\n".join(reversed(list(_drops(up)))) + "\n"
    (versions / f"{revision}.up.sql").write_text(up, encoding="utf-8")
    (versions / f"{revision}.down.sql").write_text(f"{HEADER}{down}", encoding="utf-8")


def concurrent(file: Path) -> bool:
    """Tell whether a revision says that it builds indexes concurrently."""
    return re.search(r"^concurrently = True$", _text(file), re.MULTILINE) is not None


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
            functions[name] = _replacing(_DROPS.sub("", text.strip()) + "\n")
    return {name: text for name, text in sorted(functions.items()) if not text.startswith(GONE)}


def created(text: str) -> list[str]:
    """Return the names of the functions and views that this text creates."""
    found = _CREATE.finditer(_SILENT.sub("''", text))
    return [
        match["name"] for match in found if match["name"] and match["kind"].lower() in ("function", "view", "procedure")
    ]


def dump(dsn: str) -> str:
    """Return pg_dump's text of the schema: without its noise, and without partitions, whose names are dates."""
    import psycopg

    from pgqueue.embedded.binaries import find

    with psycopg.connect(dsn) as conn:
        partitions = conn.execute(
            "select relname from pg_class where relispartition and relnamespace = 'pgqueue'::regnamespace order by 1"
        ).fetchall()
    program = find().bin / "pg_dump"
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


def _changed(before: Mapping[str, str], living: Mapping[str, str]) -> list[str]:
    def same(name: str) -> bool:
        return _replacing(before.get(name, "")) == _replacing(living.get(name, ""))

    changed = {name for name in {*before, *living} if not same(name)}
    privileges = {name for name, text in living.items() if not created(text)}  # new functions need them again
    return sorted(changed | privileges if changed else changed)


def _change(name: str, old: str | None, new: str | None, *, back: bool = False) -> str:
    """Return one section: how the database gets from the old text of a file to the new.

    A view is replaced, never dropped: its grants, and the users' own views upon it, stay. That works as long as columns
    are only added, at the end; on the way back they go, and so the view is dropped.
    """
    heads_changed = old is not None and (new is None or _heads(old, views=back) != _heads(new, views=back))
    drop = "".join(f"{line}\n" for line in reversed(list(_drops(old or "")))) if heads_changed else ""
    if new is None:
        drop = f"{GONE}{drop}"
    return f"{SECTION}{name}\n{drop}{new if old is None else _replacing(new or '')}"


def _heads(text: str, *, views: bool) -> list[str]:
    """What `create or replace` cannot change: names, arguments and the types returned; of views the name, or all."""
    found = [" ".join(head.split()) for head in _HEAD.findall(_SILENT.sub("''", _replacing(text)))]
    return [head if views or not head.startswith(_VIEW) else " ".join(head.split()[:5]) for head in found]


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


def catalogue(dsn: str) -> str:
    """Return the objects of the schema as `pgq doctor` compares them."""
    import psycopg

    from pgqueue.observe import blueprint
    from pgqueue.observe.patient import Patient

    with psycopg.connect(dsn) as conn:
        return blueprint.write(blueprint.gather(Patient(conn, "pgqueue").catalogue()))


def write_dump(root: Path = HERE) -> None:
    """Migrate a throw-away database and write down what came of it."""
    from pgqueue.embedded import Server
    from pgqueue.migrate import upgrade

    with Server() as server:
        upgrade(server.dsn())
        (root / "schema.sql").write_text(dump(server.dsn()), encoding="utf-8")
        (root / "catalogue.json").write_text(catalogue(server.dsn()), encoding="utf-8")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", help="freeze this revision")
    parser.add_argument("--dump", action="store_true", help="write schema.sql and catalogue.json")
    given = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    try:
        if given.revision:
            freeze(given.revision)
        if given.dump:
            write_dump()
    except FreezeError as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
