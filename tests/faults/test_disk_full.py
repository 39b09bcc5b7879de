"""The disk is full: what was acknowledged is there, and workers go on when there is room again (I1, I5)."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgqueue.embedded import Server
from pgqueue.migrate import upgrade
from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs

pytestmark = [pytest.mark.system, pytest.mark.slow]

SIZE = "96m"
ROOM_BYTES = 4 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk: a tmpfs, which only root may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=1777", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("a small disk needs a tmpfs, which only root may mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def dsn_on_disk(start_server: Callable[..., Server], disk: Path) -> str:
    """A database whose tables lie on the small disk; the server's log and its own tables do not."""
    server = start_server()
    folder = disk / "space"
    folder.mkdir(mode=0o700)
    owner = next(server.home.rglob("PG_VERSION")).stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    for parent in folder.parents[1:]:
        with contextlib.suppress(PermissionError):
            parent.chmod(parent.stat().st_mode | 0o011)
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        conn.execute(f"create tablespace small location '{folder}'".encode())
        conn.execute("create database small tablespace small")
    upgrade(server.dsn("small"), schema="pgqueue")
    return server.dsn("small")


def test_on_a_full_disk_what_was_acknowledged_is_there_and_work_goes_on_when_there_is_room(
    work: Callable[..., Fleet], dsn_on_disk: str, disk: Path, ledger: Ledger
) -> None:
    fleet = work("--lease", "15", "-c", "10", address=dsn_on_disk, app="tests.support.rough:app")
    pids = fleet.ready()
    conn = psycopg.connect(dsn_on_disk, autocommit=True)
    the = Jobs(conn)
    acknowledged = [the.put("pause", '{"seconds": 0.05}') for _ in range(50)]
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        left = shutil.disk_usage(disk).free - ROOM_BYTES
        file.write(bytes(left))

    refused = 0
    full_since = 0.0
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (full_since and time.monotonic() > full_since + 3):
        try:
            wide = f'{{"padding": "{os.urandom(5_000).hex()}"}}'
            acknowledged.append(the.put("pause", '{"seconds": 0.0}', meta=wide))
        except psycopg.errors.DiskFull:
            refused += 1
            full_since = full_since or time.monotonic()
    assert refused, "the disk never was full"
    ballast.unlink()

    for job in acknowledged:
        the.wait(job, "succeeded", 30)
    there = {job for (job,) in conn.execute("select id from pgqueue.jobs").fetchall()}
    the.wait(the.put("pause"), "succeeded")
    said = fleet.said()
    conn.close()
    times = said.count("sqlstate=53100")
    print(
        f"{len(acknowledged)} acknowledged, {refused} refused, {len(there)} there; the worker was refused {times} times"
    )
    assert there == {*acknowledged}
    assert fleet.workers() == pids
    assert ledger.overlaps() == []
