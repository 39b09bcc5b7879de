"""The documents name tests as evidence: each of them exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[[^`]*\])?`")
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    missing = [
        f"{file}::{name}"
        for file, name in NAMED.findall(document.read_text(encoding="utf-8"))
        if name not in _tests(ROOT / file)
    ]

    assert missing == []


def test_the_guarantees_are_numbered_without_gaps_and_each_names_a_test() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    parts = re.split(r"^\*\*G(\d+)\. ", text.partition("## What is not promised")[0], flags=re.MULTILINE)[1:]
    numbers, bodies = [int(number) for number in parts[::2]], parts[1::2]

    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 15
    assert [number for number, body in zip(numbers, bodies, strict=True) if not NAMED.search(body)] == []


def _tests(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, functions)}
