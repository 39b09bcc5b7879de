# ruff: noqa: E501 - SQL and names of tests are told on one line
"""What must not stand in the package's source: code made from data, and SQL made from text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "pgqueue"
BANNED_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "jsonpickle"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
# Renderers of the schema's name, and statements of utilities that take no parameters, whose names are quoted in one place.
RENDERERS = {"schema.py", "migrate/session.py", "migrate/apply.py", "migrate/concurrent.py", "cli/grants.py"}
SENDERS = {"execute", "executemany", "copy", "stream"}


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def _code_from_data(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.partition(".")[0] in BANNED_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in BANNED_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS:
            found.append(node.func.id)
    return found


def _formatted_sql(tree: ast.AST) -> list[int]:
    """Lines where the first argument of an execute is put together: an f-string, a %, a +, a str.format."""
    lines = []
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in SENDERS
            and node.args
        ):
            continue
        for part in ast.walk(node.args[0]):
            composed = (
                isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr == "format"
            )
            if _numbers_only(part):
                continue
            if (
                isinstance(part, ast.JoinedStr)
                or (isinstance(part, ast.BinOp) and not _inside_number(part, node))
                or (composed and isinstance(part.func.value, ast.Constant))
            ):  # type: ignore[attr-defined]
                lines.append(node.lineno)
    return lines


def _numbers_only(part: ast.AST) -> bool:
    """Whether an f-string holds nothing but int(...): settings take no parameters."""
    values = [value.value for value in ast.walk(part) if isinstance(value, ast.FormattedValue)]
    return isinstance(part, ast.JoinedStr) and all(
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "int" for value in values
    )


def _inside_number(part: ast.AST, call: ast.Call) -> bool:
    numbers = (
        node
        for node in ast.walk(call)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int"
    )
    return any(part is inner for number in numbers for inner in ast.walk(number))


def test_no_code_is_made_from_data() -> None:
    assert {name: found for name, tree in _sources() if (found := _code_from_data(tree))} == {}


def test_no_statement_is_put_together_from_text() -> None:
    found = {name: lines for name, tree in _sources() if name not in RENDERERS and (lines := _formatted_sql(tree))}

    assert found == {}


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from yaml import load", "eval('1')", "exec(row)", "import marshal as m", "import pickle.x"],
)
def test_that_search_finds_code_from_data(text: str) -> None:
    assert _code_from_data(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "c.execute(f'select {x}')",
        "c.execute('select ' + x)",
        "c.execute('select %s' % x)",
        "c.execute('select {}'.format(x))",
    ],
)
def test_that_search_finds_formatted_sql(text: str) -> None:
    assert _formatted_sql(ast.parse(text))


def test_parameters_and_composed_identifiers_are_no_formatting() -> None:
    text = "c.execute('select %s', [x]); c.execute(sql.SQL('drop table {}').format(sql.Identifier(x)))"

    assert _formatted_sql(ast.parse(text)) == []
