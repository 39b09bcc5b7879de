"""The throw-away server, and the same code as root and as an ordinary user."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import pgqueue
from pgqueue.embedded import Server, watchdog
from pgqueue.embedded.binaries import find
from tests.support import wait_until

pytestmark = pytest.mark.system

HOLD = """
import sys
from pgqueue.embedded import Server
server = Server().start()
print(server.home, flush=True); print(server.dsn(), flush=True)
sys.stdin.read()
"""
KEEP = """
import sys
from pgqueue.embedded import shared
with shared(sys.argv[1]) as dsn:
    print(sys.argv[1], flush=True); print(dsn, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="pgq-embedded-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def one(dsn: str, statement: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
        return row[0]


def test_it_is_gone_with_its_folder_after_stop() -> None:
    with Server() as server:
        home, host = server.home, server.address.host
        assert one(server.dsn(), "show fsync") == "off"

    assert not home.exists()
    assert not host.exists()


def test_settings_and_durability_can_be_asked_for() -> None:
    with Server(durable=True, settings={"work_mem": "7MB"}) as server:
        assert one(server.dsn(), "show fsync") == "on"
        assert one(server.dsn(), "show work_mem") == "7MB"


def test_it_listens_on_tcp_only_if_asked() -> None:
    with Server() as closed, Server(tcp=True) as open_:
        assert one(closed.dsn(), "show listen_addresses") == ""
        assert one(f"host=127.0.0.1 port={open_.address.port} user=postgres", "select 1") == 1


def test_two_of_one_path_are_one_server_that_ends_with_the_last(folder: Path) -> None:
    first, second = Server(folder / "server").start(), Server(folder / "server").start()
    dsn = first.dsn()
    assert second.dsn() == dsn

    first.stop()
    assert one(dsn, "select 1") == 1
    second.stop()

    assert not (folder / "server").exists()


def test_stopping_twice_is_harmless() -> None:
    server = Server().start()
    server.stop()

    server.stop()

    with pytest.raises(RuntimeError):
        _ = server.home


def test_it_ends_when_its_process_is_killed() -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    home = Path(process.stdout.readline().strip())
    assert one(process.stdout.readline(), "select 1") == 1

    process.kill()
    process.communicate()

    wait_until(lambda: watchdog.postmaster(home / "data") is None)
    wait_until(lambda: not home.exists())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_binaries_that_the_servers_user_cannot_read_are_copied_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find().bin.is_relative_to("/usr"):
        pytest.skip("the system's own programs are readable, and cannot be moved")
    copy = find().copied(folder)
    folder.chmod(0o700)
    monkeypatch.setenv("PGQ_PG_BIN", str(copy.bin))

    with Server() as server:
        assert one(server.dsn(), "select 1") == 1
        assert list(server.home.glob("postgres-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite runs as an ordinary user already")
@pytest.mark.parametrize("script", [HOLD, KEEP])
def test_an_ordinary_user_can_do_the_same(folder: Path, script: str) -> None:
    nobody = pwd.getpwnam("nobody")
    python = _python_for(nobody)
    found = find()
    programs = found if found.bin.is_relative_to("/usr") else found.copied(folder)
    package = Path(pgqueue.__file__).parent
    shutil.copytree(package / "embedded", folder / "lib/pgqueue/embedded", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package / "errors.py", folder / "lib/pgqueue/errors.py")
    (folder / "home").mkdir()
    os.chown(folder / "home", nobody.pw_uid, nobody.pw_gid)
    process = subprocess.Popen(
        [python, "-c", script, str(folder / "home/server")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={"PYTHONPATH": str(folder / "lib"), "PGQ_PG_BIN": str(programs.bin), "PATH": os.environ["PATH"]},
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
    )
    assert process.stdout is not None
    home = Path(process.stdout.readline().strip())
    assert one(process.stdout.readline(), "select 1") == 1
    pid = watchdog.postmaster(home / "data")
    assert pid is not None
    assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid

    process.kill()
    process.communicate()

    wait_until(lambda: watchdog.postmaster(home / "data") is None)
    wait_until(lambda: not watchdog.command_line(pid))


def _python_for(user: pwd.struct_passwd) -> str:
    """Ours may live below /root, where others cannot run it."""
    check = ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            done = subprocess.run(
                [candidate, *check], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    pytest.skip("no Python 3.11 that an ordinary user can run")
