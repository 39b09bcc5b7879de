"""The revisions that this copy of pgqueue carries, read from their file names: no alembic, no database.

History is one line: revisions are named NNNN_name and follow each other in the order of their names.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

from pgqueue.errors import ConfigError, NotSupported

BASE = "base"
FIRST_VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema. `may_lock`: it may hold up, or wait for, those who use the queue meanwhile. `needs`: the
    oldest version of pgqueue that can work after it, if it ends the support of one. `concurrently`: it builds indexes
    outside of a transaction.
    """

    id: str
    title: str
    may_lock: bool
    needs: str | None = None
    concurrently: bool = False


def directory() -> Path:
    """Return the folder of the migrations: inside an installed package, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "migrations", package.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigError(f"the migrations are missing beside {package}: install pgqueue again")


def known() -> tuple[str, ...]:
    """Return all revisions, oldest first."""
    return tuple(sorted(file.stem for file in (directory() / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")))


def head() -> str:
    """Return the newest revision."""
    return known()[-1]


def following(revision: str | None, schema: str) -> tuple[str, ...]:
    """Return the revisions after this one (None: an empty database). Raises NotSupported if it is unknown."""
    revisions = known()
    if revision is None:
        return revisions
    if revision not in revisions:
        raise NotSupported(
            f'schema "{schema}": its revision {revision} is not known here, where the newest is {revisions[-1]}; '
            f"a newer pgqueue migrated it: install that version; or its table alembic_version belongs to another "
            f"application: choose another schema"
        )
    return revisions[revisions.index(revision) + 1 :]


def describe(revision: str) -> Revision:
    """Read what a revision says about itself without running it."""
    module = ast.parse((directory() / "versions" / f"{revision}.py").read_text(encoding="utf-8"))
    said: dict[str, object] = {}
    for node in module.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                said[name] = value
    needs = said.get("needs")
    return Revision(
        id=revision,
        title=(ast.get_docstring(module) or revision).splitlines()[0].rstrip("."),
        may_lock=said.get("may_lock") is not False,
        needs=needs if isinstance(needs, str) else None,
        concurrently=said.get("concurrently") is True,
    )


def needed_before(revision: str) -> str:
    """Return the oldest version of pgqueue that could work on the schema before this revision."""
    needs = [step.needs for step in map(describe, known()) if step.id < revision and step.needs]
    return needs[-1] if needs else FIRST_VERSION
