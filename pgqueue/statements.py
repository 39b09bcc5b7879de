"""Where statements are kept: one in a file, in the folder `sql` of the package that runs it."""

from functools import lru_cache
from importlib.resources import files
from typing import LiteralString, cast

from pgqueue.schema import render


@lru_cache(maxsize=2048)
def statement(package: str, name: str, schema: str) -> LiteralString:
    """Return the statement `sql/NAME.sql` of a package for a schema, without the comment at its head, with psycopg's
    placeholders. It is constant but for the schema's name, hence the cast."""
    text = files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return cast("LiteralString", render(code.strip().rstrip(";"), schema, for_psycopg=True))  # type: ignore[redundant-cast]
