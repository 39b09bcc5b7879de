"""A rolling deploy, from the release before to this one, under traffic: nothing lost, nothing refused, nothing twice.

Workers and producers of the release before go on while this version migrates, workers of both run side by side, one of
the old is killed and started again on the new schema, and the old ones leave.
"""

import re
import shutil
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from pgqueue.embedded import Server
from pgqueue.migrate import head
from tests.support.fleet import children, command_of
from tests.support.waiting import wait_until
from tests.upgrades import releases
from tests.upgrades.releases import Release

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(240)]

LEASE = "3"
READERS = (("stats", "--json"), ("workers",), ("jobs", "ls", "--state", "succeeded"), ("flows", "ls"))


@pytest.fixture(scope="module")
def both(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    """The release before and this version, installed from their wheels."""
    commit = releases.previous(repository) if shutil.which("git") else None
    if commit is None:
        pytest.skip("no release before this one is in the history of this checkout (a clone without tags and depth?)")
    folder = tmp_path_factory.mktemp("releases")
    old = releases.install(releases.checkout(repository, commit, folder / "source"), folder / "old")
    new = releases.install(repository, folder / "new")
    assert old.version != new.version
    return old, new


@dataclass
class Shop:
    """The application's folder, and all that was started in it."""

    folder: Path
    dsn: str
    stack: ExitStack

    def work(self, release: Release, name: str) -> "subprocess.Popen[bytes]":
        words = ("-m", "pgqueue.cli", "work", "shop:app", "--processes", "2", "--lease", LEASE, "-c", "8")
        process = release.start(*words, cwd=self.folder, log=self.folder / f"{name}.log")
        self.stack.callback(_end, process)
        wait_until(lambda: self.said(name).count("worker process ready") >= 2 or process.poll() is not None, 30)
        assert process.poll() is None, self.said(name)
        return process

    def produce(self, release: Release, name: str) -> "subprocess.Popen[bytes]":
        process = release.start("producer.py", name, cwd=self.folder, log=self.folder / f"{name}.made")
        self.stack.callback(_end, process)
        wait_until(lambda: len(self.made(name)) > 50 or process.poll() is not None, 30)
        assert process.poll() is None, self.said(name, "made")
        return process

    def said(self, name: str, kind: str = "log") -> str:
        return (self.folder / f"{name}.{kind}").read_text(errors="replace")

    def made(self, name: str) -> list[tuple[str, int]]:
        """What a producer was told is in the database."""
        lines = [line.split() for line in self.said(name, "made").splitlines() if line.count(" ") == 1]
        return [(kind, int(job)) for kind, job in lines]

    def done(self) -> int:
        """How many handlers have ended."""
        ledger = self.folder / "ledger"
        return ledger.read_bytes().count(b"end ") if ledger.exists() else 0

    def goes_on(self, jobs: int = 150) -> None:
        """Wait until so many more jobs are done."""
        until = self.done() + jobs
        wait_until(lambda: self.done() >= until, 40)


@pytest.fixture
def shop(both: tuple[Release, Release], tmp_path: Path) -> Iterator[Shop]:
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        for file in ("shop.py", "producer.py"):
            shutil.copy(Path(__file__).parent / file, tmp_path)
        for release in both:
            release.variables = {"PGQ_DSN": server.dsn(), "SHOP_LEDGER": str(tmp_path / "ledger")}
        yield Shop(tmp_path, server.dsn(), stack)
        log = (server.home / "server.log").read_text(errors="replace")
    # A worker that is killed while the server answers it is no error of anybody's.
    wrong = [
        line for line in log.splitlines() if re.search(r"\b(ERROR|FATAL|PANIC):(?!  connection to client lost)", line)
    ]
    assert wrong == []


def test_a_rolling_deploy_loses_nothing_and_meets_no_error(both: tuple[Release, Release], shop: Shop) -> None:
    old, new = both

    # The release before, at work; this version does not start before its migrations are applied.
    assert old.pgq("migrate", cwd=shop.folder).returncode == 0
    old_fleet = shop.work(old, "old")
    producers = [shop.produce(old, "old-1"), shop.produce(old, "old-2")]
    early = new.pgq("work", "shop:app", cwd=shop.folder)
    assert (early.returncode, "migrations of schema" in early.stderr) == (5, True), early.stderr

    # Expand: the migration runs under traffic, and traffic goes on upon the new schema.
    migrated = new.pgq("migrate", cwd=shop.folder)
    assert (migrated.returncode, head() in migrated.stdout) == (0, True), migrated.stderr
    shop.goes_on()

    # Deploy: both side by side; a process of the old fleet dies, and its supervisor starts another on the new schema.
    new_fleet = shop.work(new, "new")
    producers.append(shop.produce(new, "new-1"))
    shop.goes_on()
    victim = next(pid for pid in children(old_fleet.pid) if "pgqueue.worker.main" in command_of(pid))
    subprocess.run(["kill", "-KILL", str(victim)], check=True)
    wait_until(lambda: shop.said("old").count("worker process ready") >= 3, 30)
    versions = _rows(shop.dsn, "select distinct version from pgqueue.workers where alive")
    assert {version for (version,) in versions} == {None, new.version}
    for words in READERS:
        looked = old.pgq(*words, cwd=shop.folder)
        assert looked.returncode == 0, (words, looked.stderr)
    shop.goes_on()

    # The old ones leave; a whole fleet of them can still come back.
    old_fleet.send_signal(signal.SIGTERM)
    assert old_fleet.wait(30) == 0, shop.said("old")
    back = shop.work(old, "old-again")
    shop.goes_on()
    back.send_signal(signal.SIGTERM)
    assert back.wait(30) == 0, shop.said("old-again")

    # The producers end, the new workers drain, and everything adds up.
    (shop.folder / "stop").touch()
    for process in producers:
        assert process.wait(30) == 0, [shop.said(name, "made")[-2000:] for name in ("old-1", "old-2", "new-1")]
    wait_until(lambda: _rows(shop.dsn, UNFINISHED)[0] == (0,), 40)
    new_fleet.send_signal(signal.SIGTERM)
    assert new_fleet.wait(30) == 0, shop.said("new")

    _adds_up(shop)
    for name in ("old", "new", "old-again"):
        bad = [line for line in shop.said(name).splitlines() if re.search(r"\bERROR\b|refused|Traceback", line)]
        assert [line for line in bad if f"pid={victim} status=-9" not in line] == [], name


UNFINISHED = """
select count(*) from pgqueue.jobs where state not in ('succeeded', 'cancelled', 'dead') and task <> 'tick'"""


def _adds_up(shop: Shop) -> None:
    acknowledged = {job for name in ("old-1", "old-2", "new-1") for _, job in shop.made(name)}
    states = dict(_rows(shop.dsn, "select id, state from pgqueue.jobs"))
    assert len(acknowledged) > 1000
    assert Counter(states.get(job) for job in acknowledged) == {"succeeded": len(acknowledged)}
    assert [job for job, state in states.items() if state in {"dead", "cancelled"}] == []

    entries = [line.split() for line in (shop.folder / "ledger").read_text().splitlines()]
    ends = Counter(int(job) for kind, job, *_ in entries if kind == "end")
    lost = {job for (job,) in _rows(shop.dsn, "select job_id from pgqueue.attempts where outcome = 'lost'")}
    assert acknowledged <= set(ends)
    assert [job for job, times in ends.items() if times > 1 and job not in lost] == []

    spans = _spans(entries)
    for name in ("old-1", "old-2", "new-1"):
        turns = sorted(spans[f"group:{name}"])
        assert all(before[1] <= after[0] for before, after in pairwise(turns)), "groups overlap"
        ids = [job for *_, job in turns if job not in lost]
        assert ids == sorted(ids), "a group ran out of order"
    assert _most_at_once(spans["narrow"]) <= 2

    ticks = [at for (at,) in _rows(shop.dsn, "select tick_at from pgqueue.schedule_ticks order by 1")]
    assert {(after - before).total_seconds() for before, after in pairwise(ticks)} == {1.0}


def _spans(entries: list[list[str]]) -> dict[str, list[tuple[float, float, int]]]:
    """(begun, ended, job) of each attempt that came to its end, by what it says it is about."""
    begun: dict[tuple[str, str], float] = {}
    spans = defaultdict(list)
    for kind, job, attempt, _, at, about in entries:
        if kind == "start":
            begun[job, attempt] = float(at)
        elif kind == "end":
            spans[about].append((begun[job, attempt], float(at), int(job)))
    return spans


def _most_at_once(spans: list[tuple[float, float, int]]) -> int:
    edges = sorted([(begun, 1) for begun, _, _ in spans] + [(ended, -1) for _, ended, _ in spans])
    running, most = 0, 0
    for _, step in edges:
        running += step
        most = max(most, running)
    return most


def _rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        return conn.execute(query.encode()).fetchall()


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        for pid in children(process.pid):
            subprocess.run(["kill", "-KILL", str(pid)], check=False)
        process.kill()
    process.wait()
