"""The pages of docs/ hold: their programs run, their statements run, their picture is the table of transitions."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.main import get_command

from pgqueue import errors
from pgqueue.cli.root import tree
from pgqueue.job import TRANSITIONS, AttemptOutcome, State
from tests.docs.blocks import blocks
from tests.support.command import PGQ, environment

Connect = Callable[..., "psycopg.Connection[Any]"]


@pytest.mark.system
@pytest.mark.timeout(120)
def test_the_python_page_runs(repository: Path, tmp_path: Path, dsn: str) -> None:
    told = [block for block in blocks(repository / "docs/python.md") if block.language == "python"]
    (tmp_path / "shop.py").write_text("\n\n".join(block.text for block in told if block.file))
    (tmp_path / "program.py").write_text("\n\n".join(block.text for block in told if not block.file))
    env = environment(PGQ_DSN=dsn, PYTHONPATH=str(repository))
    worker = subprocess.Popen([*PGQ, "work", "shop:app"], cwd=tmp_path, env=env)
    try:
        program = subprocess.run(
            [sys.executable, "program.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert program.returncode == 0, program.stdout + program.stderr
        assert worker.poll() is None
    finally:
        worker.terminate()
        status = worker.wait(20)
    assert status == 0


@pytest.mark.parametrize("page", ["sql.md", "operations.md"])
def test_the_statements_of_a_page_run(page: str, repository: Path, connect: Connect) -> None:
    conn = connect(autocommit=False)  # what they make, such as a role, is rolled back
    examples = [block for block in blocks(repository / "docs" / page) if block.language == "sql"]

    refused = {}
    for example in examples:
        try:
            with conn.transaction():
                conn.execute(example.text.encode())
        except psycopg.Error as error:
            refused[example.place] = str(error)

    assert examples != []
    assert refused == {}


def test_the_picture_of_the_states_is_the_table_of_transitions(repository: Path) -> None:
    (picture,) = [b for b in blocks(repository / "docs/architecture.md") if b.language == "mermaid"]

    drawn = {(a, b) for a, b in re.findall(r"(\S+) --> ([\w\[\]*]+)", picture.text)}

    table = {(str(a), str(b)) for a, following in TRANSITIONS.items() for b in following}
    starts = {("[*]", "scheduled"), ("[*]", "ready"), ("[*]", "blocked")}
    assert drawn == table | starts | {("succeeded", "[*]")}


def test_the_sql_page_names_every_state_outcome_column_and_error(
    repository: Path, conn: "psycopg.Connection[Any]"
) -> None:
    page = (repository / "docs/sql.md").read_text()

    for view in (
        "jobs", "attempts", "attempt_logs", "steps", "queues", "workers", "schedules", "flows", "flow_jobs",
        "limits", "permit_holders",
    ):  # fmt: skip
        row = re.search(rf"^\| `{view}` \| (.*) \|$", page.partition("## Views")[2], re.MULTILINE)
        columns = [column.name for column in conn.execute(f"select * from pgqueue.{view} limit 0").description or ()]
        assert row is not None
        assert row[1].split(", ") == columns
    assert f"`{' '.join(State)}`" in page
    assert set(re.search(r"outcomes of attempts `(.*?)`", page)[1].split()) == set(AttemptOutcome)  # type: ignore[index]
    for state, name in re.findall(r"^\| (PQ\d+) \| `(\w+)` \|", page, re.MULTILINE):
        assert type(errors.from_sqlstate(state, "")).__name__ == name
    assert len(re.findall(r"^\| PQ\d+ \|", page, re.MULTILINE)) == sum(k.startswith("PQ") for k in errors._BY_SQLSTATE)


def test_the_sql_page_has_the_signature_of_enqueue(repository: Path, conn: "psycopg.Connection[Any]") -> None:
    page = (repository / "docs/sql.md").read_text()
    told = re.search(r"pgqueue\.enqueue\((.*?)\) returns", page, re.DOTALL)
    assert told is not None
    row = conn.execute("select proargnames from pg_proc where oid = 'pgqueue.enqueue'::regproc").fetchone()

    assert row is not None
    assert [part.split()[0] for part in told[1].split(",")] == row[0]


def test_the_settings_are_those_of_the_table(repository: Path, conn: "psycopg.Connection[Any]") -> None:
    page = (repository / "docs/operations.md").read_text()
    section = page.partition("## Retention and settings")[2].partition("```")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))

    row = conn.execute(
        "select retention::text, max_args_bytes::text, max_losses::text from pgqueue.settings"
    ).fetchone()

    assert (told["retention"], told["max_args_bytes"], told["max_losses"]) == row


def test_the_parts_that_the_architecture_names_are_there(repository: Path, conn: "psycopg.Connection[Any]") -> None:
    page = (repository / "docs/architecture.md").read_text()
    stages = page.partition("| Stage |")[2].partition("\n\n")[0]
    tables = page.partition("| Table | |")[2].partition("\n\n")[0]

    for line in stages.splitlines()[2:]:
        _, _, modules, functions, _ = line.split("|")
        folder = repository / "pgqueue"
        for path in re.findall(r"`([\w/]+\.py|\w+/)`", modules):
            folder = (repository / "pgqueue" / path).parent if "/" in path else folder
            assert (repository / "pgqueue" / path).exists() or (folder / path).exists(), path
        for function in re.findall(r"`(\w+)`", functions):
            assert conn.execute("select from pg_proc where proname = %s", [function]).fetchone() is not None, function
    for table in re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in tables.splitlines() if "|" in line)):
        assert conn.execute("select to_regclass(%s) is not null", [f"pgqueue.{table}"]).fetchone() == (True,), table


def test_every_command_line_in_the_pages_is_one(repository: Path) -> None:
    root = get_command(tree())
    for page in [repository / "README.md", *(repository / "docs").glob("*.md"), *repository.glob("examples/*/*.md")]:
        text = page.read_text()
        lines = [match[1] for match in re.finditer(r"^(?:\$ |    )?(pgq [^#|>\n]+)", text, re.MULTILINE)]
        lines += [match[1] for match in re.finditer(r"`(pgq [^`]+)`", text)]
        assert lines or page.name not in {"README.md", "operations.md"}
        for line in lines:
            at: Any = root
            for word in shlex.split(line.replace("[", "").replace("]", ""))[1:]:
                if word.startswith("-"):
                    flags = {flag for option in at.params for flag in option.opts}
                    assert word in flags, f"{page.name}: {line}"
                elif hasattr(at, "commands") and (word in at.commands or not at.invoke_without_command):
                    assert word in at.commands, f"{page.name}: {line}"
                    at = at.commands[word]
