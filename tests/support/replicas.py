"""A primary and its streaming replica, to kill the one and promote the other."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from pgqueue.embedded import Server, binaries
from pgqueue.embedded.account import server_account
from pgqueue.embedded.server import scratch
from tests.support.fleet import children, is_alive
from tests.support.waiting import wait_until

# As durable as the machine allows: what was acknowledged must not get lost by the kill itself.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "checkpoint_timeout": "5min"}
STANDBY = {"hot_standby": "on", "wal_receiver_status_interval": "1s", "hot_standby_feedback": "off"}


class Pair:
    """Two servers: `dsn` names both and takes whichever can be written to."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary = primary
        self.standby = standby

    @property
    def dsn(self) -> str:
        ports = f"{self.primary.address.port},{self.standby.address.port}"
        where = {"host": "127.0.0.1,127.0.0.1", "port": ports, "user": "postgres", "dbname": "postgres"}
        return make_conninfo(**where, target_session_attrs="read-write")

    def ask(self, server: Server, query: str) -> Any:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            row = conn.execute(query).fetchone()
            return row[0] if row else None

    def caught_up(self) -> None:
        """Wait until the replica has replayed what the primary has written so far."""
        lsn = self.ask(self.primary, "select pg_current_wal_flush_lsn()::text")
        wait_until(lambda: self.ask(self.standby, f"select pg_last_wal_replay_lsn() >= '{lsn}'::pg_lsn"))

    def cut_replication(self) -> None:
        """From now on the primary sends nothing, and does not know it."""
        sender = self.ask(self.primary, "select pid from pg_stat_replication")
        os.kill(sender, signal.SIGSTOP)

    def kill_primary(self) -> None:
        """kill -9 for all of its processes."""
        pids = processes(self.primary)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in pids))

    def promote(self) -> None:
        assert self.ask(self.standby, "select pg_promote(true, 20)")


def processes(server: Server) -> list[int]:
    postmaster = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
    return [postmaster, *children(postmaster)]


@contextmanager
def replicas(*, synchronous: bool) -> Iterator[Pair]:
    """Start both; with `synchronous` a commit is acknowledged when the replica has it on its disk."""
    with Server(settings=DURABLE, tcp=True) as primary:
        home = Path(tempfile.mkdtemp(prefix="pgq-standby-", dir=scratch()))
        try:
            _copy(primary, home)
            with Server(home, settings=DURABLE | STANDBY, tcp=True) as standby:
                pair = Pair(primary, standby)
                wait_until(lambda: pair.ask(primary, "select state from pg_stat_replication") == "streaming")
                if synchronous:
                    with psycopg.connect(primary.dsn(), autocommit=True) as conn:
                        conn.execute("alter system set synchronous_standby_names = '*'")
                        conn.execute("select pg_reload_conf()")
                    wait_until(lambda: pair.ask(primary, "select sync_state from pg_stat_replication") == "sync")
                yield pair
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _copy(primary: Server, home: Path) -> None:
    """pg_basebackup, by the account that runs the primary, into a folder that looks like one of `Server`'s."""
    account = server_account(primary.home / "data")
    account.own(home)
    home.chmod(0o755)
    programs = binaries.find()
    if not account.reaches(programs.bin / "postgres"):
        programs = programs.copied(primary.home)
    address = primary.address
    words = ["-h", address.host, "-p", str(address.port), "-U", "postgres", "-D", home / "data", "-R", "-c", "fast"]
    done = account.run(programs.bin / "pg_basebackup", words, home=home)
    assert done.returncode == 0, done.stdout
    (home / "pgqueue.lock").touch(mode=0o600)
