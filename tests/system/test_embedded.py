"""The private server of a folder: who starts it, who joins, who stops it, and what survives."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from pgqueue.embedded import shared, watchdog
from pgqueue.embedded.account import server_account
from pgqueue.errors import ConfigError
from tests.support import wait_until

pytestmark = pytest.mark.system

USE = """
import sys
from pgqueue.embedded import shared
with shared(sys.argv[1]) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the server of a folder until it is told to leave."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def dsn(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate(timeout=20)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that is not there yet, where the user who runs PostgreSQL for root can get to."""
    parent = Path(tempfile.mkdtemp(prefix="pgq-embedded-"))
    parent.chmod(0o755)
    yield parent / "server"
    wait_until(lambda: not is_running(parent / "server"), 20)
    wait_until(lambda: not is_watched(parent / "server"), 20)
    shutil.rmtree(parent)


@pytest.fixture
def use(home: Path) -> Iterator[Callable[[], User]]:
    with ExitStack() as stack:

        def start() -> User:
            user = User(home)
            stack.callback(user.kill)
            return user

        yield start


def is_running(home: Path) -> bool:
    return watchdog.postmaster(home / "data") is not None


def watchdogs(home: Path) -> list[int]:
    script = str(Path(watchdog.__file__))
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if {script, str(home)} <= set(watchdog.command_line(pid))]


def is_watched(home: Path) -> bool:
    return bool(watchdogs(home))


def execute(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchone()[0] if cursor.description else None


def test_data_is_durable_and_kept_after_the_last_user_left(home: Path) -> None:
    with shared(home) as dsn:
        execute(dsn, "create table kept as select 7 as i")
        assert execute(dsn, "show fsync") == "on"
    wait_until(lambda: not is_running(home))

    with shared(home) as dsn:
        assert execute(dsn, "select i from kept") == 7


def test_async_connections_take_the_same_dsn(home: Path) -> None:
    async def ask(dsn: str) -> object:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            return await (await connection.execute("select 1")).fetchone()

    with shared(home) as dsn:
        assert asyncio.run(ask(dsn)) == (1,)


def test_two_first_starters_share_one_server(home: Path, use: Callable[[], User]) -> None:
    first, second, third = use(), use(), use()

    dsns = {first.dsn, second.dsn, third.dsn}

    assert len(dsns) == 1
    assert execute(dsns.pop(), "select 1") == 1
    assert len(watchdogs(home)) == 1


def test_the_starter_may_leave_before_the_others(home: Path, use: Callable[[], User]) -> None:
    starter = use()
    dsn = starter.dsn
    joiner = use()
    assert joiner.dsn == dsn

    starter.leave()

    assert execute(dsn, "select 1") == 1
    joiner.leave()
    wait_until(lambda: not is_running(home))
    wait_until(lambda: not Path(dsn.split()[0].removeprefix("host=")).exists())


def test_who_reads_the_output_of_the_starter_does_not_wait_for_the_server(home: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from pgqueue.embedded import shared\n"
        "with shared(Path(sys.argv[1])) as dsn: print('ready', flush=True); sys.stdin.readline()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "ready\n"

    with shared(home):  # so that the server stays
        said, complained = starter.communicate("leave\n", timeout=20)

        assert (said, complained) == ("", "")
        assert is_running(home)


def test_a_killed_user_counts_as_gone(home: Path, use: Callable[[], User]) -> None:
    first, second = use(), use()
    dsn = first.dsn
    assert second.dsn == dsn

    first.kill()
    assert execute(dsn, "select 1") == 1
    second.kill()

    wait_until(lambda: not is_running(home))


def test_an_interrupt_at_the_starters_terminal_stops_nobody_elses_server(home: Path, use: Callable[[], User]) -> None:
    starter = use()
    dsn = starter.dsn
    joiner = use()
    assert joiner.dsn == dsn

    os.killpg(starter.process.pid, signal.SIGINT)
    starter.process.wait(20)

    assert execute(dsn, "select 1") == 1


def test_a_server_that_was_killed_comes_back_with_its_data_at_the_same_address(home: Path) -> None:
    with shared(home) as dsn:
        execute(dsn, "create table kept as select 7 as i")
        pid = watchdog.postmaster(home / "data")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(home))

        with shared(home) as again:
            assert again == dsn
            assert execute(dsn, "select i from kept") == 7


def test_a_pid_file_that_names_a_foreign_process_is_no_obstacle(home: Path) -> None:
    with shared(home) as dsn:
        execute(dsn, "create table kept as select 7 as i")
        pid = watchdog.postmaster(home / "data")
        assert pid is not None
        left = (home / "data/postmaster.pid").read_text()
    wait_until(lambda: not is_running(home))
    account = server_account(home / "data")
    foreign = subprocess.Popen(["sleep", "60"], user=account.uid if account.other else None)
    try:
        (home / "data/postmaster.pid").write_text(left.replace(str(pid), str(foreign.pid), 1))
        account.own(home / "data/postmaster.pid")

        with shared(home) as dsn:
            assert execute(dsn, "select i from kept") == 7
    finally:
        foreign.kill()
        foreign.wait()


def test_a_killed_watchdog_is_replaced_by_the_next_user(home: Path) -> None:
    with shared(home):
        os.kill(watchdogs(home)[0], signal.SIGKILL)
        wait_until(lambda: not is_watched(home))

        with shared(home):
            assert is_watched(home)

    wait_until(lambda: not is_running(home))


def test_an_initialisation_that_was_cut_short_is_begun_anew(home: Path) -> None:
    home.mkdir()
    home.chmod(0o755)
    (home / "pgqueue.lock").touch()
    (home / "new-unfinished").mkdir()

    with shared(home) as dsn:
        assert execute(dsn, "select 1") == 1

    assert not (home / "new-unfinished").exists()


def test_a_long_path_is_no_problem_for_the_socket(home: Path) -> None:
    deep = home / ("x" * 120)

    with shared(deep) as dsn:
        assert execute(dsn, "select 1") == 1

    wait_until(lambda: not is_running(deep) and not is_watched(deep))


def test_data_of_another_major_version_is_refused_with_both_named(home: Path) -> None:
    with shared(home):
        pass
    wait_until(lambda: not is_running(home) and not is_watched(home))
    (home / "data/PG_VERSION").write_text("14\n")

    with pytest.raises(ConfigError, match=r"written by PostgreSQL 14, .* PGQ_PG_MAJOR=14"), shared(home):
        pass


def test_a_file_is_not_a_folder(home: Path) -> None:
    home.write_text("")

    for path in (home, home / "below"):
        with pytest.raises(ConfigError, match="file; give a folder"), shared(path):
            pass


def test_a_folder_of_somebody_else_is_left_alone(home: Path) -> None:
    home.mkdir()
    (home / "thesis.txt").write_text("mine")

    with pytest.raises(ConfigError, match="not empty and was not made by pgqueue"), shared(home):
        pass

    assert [entry.name for entry in home.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("path", ["", "  ", "a$b", 'a"b', "/proc/nowhere/server"])
def test_paths_that_cannot_work_are_refused_in_one_line(path: str) -> None:
    with pytest.raises(ConfigError) as raised, shared(path):
        pass

    assert "\n" not in str(raised.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(home: Path) -> None:
    home.parent.chmod(0o555)
    try:
        with pytest.raises(ConfigError, match="Permission denied"), shared(home):
            pass
    finally:
        home.parent.chmod(0o755)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_is_told_when_the_servers_user_cannot_enter(home: Path) -> None:
    home.parent.chmod(0o700)

    with pytest.raises(ConfigError, match="cannot enter"), shared(home):
        pass
