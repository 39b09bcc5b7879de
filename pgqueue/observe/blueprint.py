"""What a schema at head looks like, and what one does look like: objects by kind and name, in words that do not depend
on the server's version or the schema's name.

The expected objects are in migrations/catalogue.json, which migrations/freeze.py writes from a fresh database, but for
the bodies of functions: these are the living text itself. Servers word what they deparse (views, defaults, conditions)
each in its own way: qualifiers, parentheses and spaces are not compared.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pgqueue.migrate.frozen import rendered
from pgqueue.migrate.revisions import directory
from pgqueue.schema import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Name = tuple[str, str]  # kind and name: ("column", "queued_jobs.run_at")
Facts = dict[str, Any]

FILE = "catalogue.json"
_CREATED = re.compile(r"^(?=create (?:function|view) pgqueue\.)", re.MULTILINE)
_HEAD = re.compile(r"create (function|view) pgqueue\.(\w+)")
_BODY = re.compile(r"\bas (\$\w*\$)(.*?)\1", re.DOTALL)
_LITERAL = re.compile(r"('(?:[^']|'')*')")
_QUALIFIER = re.compile(r"(?:\"(?:[^\"]|\"\")+\"|\b[a-z_]\w*)\.(?=[\"a-z_])")
_STORAGE = re.compile(r" WITH \([^)]*\)")
_WORDED = {"definition", "default", "arguments", "partitions", "result", "expression"}


def gather(rows: Iterable[Mapping[str, Any]]) -> dict[Name, Facts]:
    """Return the rows of the statement `catalogue` as objects."""
    return {(row["kind"], row["name"]): row["facts"] for row in rows}


def write(objects: Mapping[Name, Facts]) -> str:
    """Return the text of the file, an object a line. Bodies that the living text has are left out."""
    living = sources(DEFAULT)
    lines = []
    for name, facts in sorted(objects.items()):
        has_text = name in living and _BODY.search(living[name]) is not None
        kept = {key: fact for key, fact in facts.items() if not (has_text and key == "body")}
        lines.append(json.dumps([*name, kept], sort_keys=True, ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def expected(schema: str) -> dict[Name, Facts]:
    """Return what a schema of this name has at head, worded as by the server that wrote the file."""
    objects: dict[Name, Facts] = {}
    living = sources(schema)
    for kind, name, facts in json.loads((directory() / FILE).read_text(encoding="utf-8")):
        named = {key: _named(fact, schema) for key, fact in facts.items()}
        if kind == "function" and "body" not in named:
            named["body"] = _body(living[kind, name])
        objects[kind, name] = named
    return objects


@lru_cache(maxsize=4)
def sources(schema: str) -> dict[Name, str]:
    """Return the living text of each function and view, as the statement that creates it."""
    found: dict[Name, str] = {}
    for file in sorted((directory() / "functions").glob("*.sql")):
        for text in _CREATED.split(file.read_text(encoding="utf-8")):
            if head := _HEAD.match(text):
                found[head[1], head[2]] = rendered(text.strip(), schema)
    return found


def differing(wanted: Facts, found: Facts) -> list[str]:
    """Return the names of the facts that differ."""
    return [fact for fact in wanted if _plain(fact, wanted[fact]) != _plain(fact, found.get(fact))]


def _body(text: str) -> str:
    found = _BODY.search(text)
    if found is None:
        raise ValueError(f"no body in {text[:60]!r}")
    return found[2]


def _named(fact: object, schema: str) -> object:
    """Put the schema's name where the default one is a literal. Servers word literals by the standard, without E''."""
    if schema == DEFAULT or not isinstance(fact, str):
        return fact
    return fact.replace(f"'{DEFAULT}'", "'" + schema.replace("'", "''") + "'")


def _plain(key: str, fact: object) -> object:
    if isinstance(fact, str) and key in _WORDED:
        return _words(_STORAGE.sub("", fact))
    return sorted(fact) if isinstance(fact, list) else fact


def _words(text: str) -> str:
    """Strip what servers add or leave out: qualifiers, parentheses, spaces. Literals stay as they are."""
    parts = _LITERAL.split(text)
    parts[::2] = [re.sub(r"[\s()]", "", _QUALIFIER.sub("", part)) for part in parts[::2]]
    return "".join(parts)
