"""The README does what it says: its tour, its two commands, its tables."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.main import get_command

from pgqueue.cli import failure
from pgqueue.cli.root import tree
from pgqueue.embedded import shared
from tests.docs.blocks import Step, blocks, prints, steps
from tests.support.command import environment
from tests.support.waiting import wait_until

LOOKS = ("pgq jobs ls", "pgq jobs show", "pgq dlq ls")  # repeated until a worker has done what they show


class Terminal:
    """A shell in a folder, as far as a tour needs one."""

    def __init__(self, folder: Path, running: "list[subprocess.Popen[bytes]]") -> None:
        self._folder = folder
        self._running = running
        programs = [str(Path(sys.executable).parent), os.environ["PATH"]]
        self._env = environment(PATH=os.pathsep.join(programs), PYTHONDONTWRITEBYTECODE="1")

    def enter(self, step: Step) -> None:
        """Type a command, and look whether it prints what it should."""
        words = step.command.split()
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self._env[name] = value
        elif words[:2] == ["pgq", "work"]:
            self._running.append(subprocess.Popen(words, cwd=self._folder, env=self._env))
        else:
            self._compare(step)

    def _compare(self, step: Step) -> None:
        deadline = time.monotonic() + (40 if step.command.startswith(LOOKS) else 0)
        while not prints(step, printed := self.run(step.command)):
            assert time.monotonic() < deadline, f"$ {step.command}\n{printed}\ninstead of\n{step.printed}"
            time.sleep(0.2)  # a command costs more than it finds

    def run(self, command: str) -> str:
        """Run a command to its end; what it printed."""
        done = subprocess.run(
            ["sh", "-c", command], cwd=self._folder, env=self._env, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="pgq-tour-"))
    made.chmod(0o755)
    yield made
    wait_until(lambda: not list(made.glob("pgdata/**/postmaster.pid")), timeout=30)  # the last user stops the server
    shutil.rmtree(made)


@pytest.fixture
def running() -> "Iterator[list[subprocess.Popen[bytes]]]":
    """The processes of a tour; they are asked to stop, and must do so with status 0."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.terminate()
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.system
@pytest.mark.timeout(180)
def test_the_tour_can_be_taken(repository: Path, folder: Path, running: "list[subprocess.Popen[bytes]]") -> None:
    terminals: dict[str, Terminal] = {}
    told = blocks(repository / "README.md")
    for block in told:
        if block.file:
            (folder / block.file).write_text(block.text)

    with shared(folder / "pgdata") as dsn:  # joined by the commands; without it the server would come and go
        for block in told:
            if block.language == "console":
                terminal = terminals.setdefault(block.options.get("terminal", "2"), Terminal(folder, running))
                for step in steps(block):
                    terminal.enter(step)
            elif block.language == "sql":
                with psycopg.connect(dsn, autocommit=True) as conn:
                    conn.execute(block.text.encode())
        terminals["2"].run("""pgq enqueue points.give_points --args '{"name": "Grace", "points": 3}'""")
        terminals["2"].run("pgq work points:app --burst")

        with psycopg.connect(dsn) as conn:
            people = conn.execute("select name, points from people order by name").fetchall()
            states = conn.execute("select task, state from pgqueue.jobs order by id").fetchall()
    assert people == [("Barbara", 0), ("Grace", 3)]
    assert states == [
        ("jobs.welcome", "succeeded"),
        *[("jobs.convert", "succeeded")] * 2,
        ("jobs.count_sheep", "cancelled"),
        *[("jobs.welcome", "succeeded")] * 3,
        ("points.give_points", "succeeded"),
    ]


def test_the_two_commands_are_what_make_and_ci_run(repository: Path) -> None:
    shell = "".join(block.text for block in blocks(repository / "README.md") if block.language == "sh")
    makefile = (repository / "Makefile").read_text()
    ci = (repository / ".ci/run").read_text()

    targets = re.findall(r"^make (\S+)", shell, re.MULTILINE)

    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "step make test\n" in ci


def test_every_extra_and_every_link_is_there(repository: Path) -> None:
    readme = (repository / "README.md").read_text()
    project = (repository / "pyproject.toml").read_text()

    extras = set(re.findall(r"--extra (\w+)", readme)) | {
        extra for group in re.findall(r"(?:'\.|pgqueue)\[([\w,]+)\]", readme) for extra in group.split(",")
    }
    assert extras >= {"demo", "dev", "binary"}
    for extra in extras:
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    for page in [repository / "README.md", *(repository / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_table_of_worker_options_is_that_of_the_command(repository: Path) -> None:
    readme = (repository / "README.md").read_text()
    section = readme.partition("## pgq work")[2].partition("| Signal |")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section, re.MULTILINE)
    told = {flag: default for flags, default in rows for flag in re.findall(r"`(-[\w-]+)`", flags)}
    work = get_command(tree()).commands["work"]  # type: ignore[attr-defined]
    everywhere = {"--dsn", "--schema", "--json", "--debug", "--help"}
    options = [option for option in work.params if option.param_type_name == "option"]

    there = {flag for option in options for flag in option.opts} - everywhere

    assert set(told) == there
    for option in options:
        if option.opts[0] in told and isinstance(option.default, int | float) and option.default is not False:
            assert told[option.opts[0]] == f"{option.default:g}", option.opts
            assert option.envvar == f"PGQ_{option.name.upper()}"


def test_the_table_of_exit_statuses_is_complete(repository: Path) -> None:
    readme = (repository / "README.md").read_text()

    told = [int(status) for status in re.findall(r"^\| (\d) \|", readme, re.MULTILINE)]

    assert told == [failure.DONE, failure.FAILED, failure.USAGE, failure.IMPORT, failure.UNREACHABLE, failure.PENDING]
