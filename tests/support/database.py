"""A server of a test's own: what it takes to let it crash, freeze, and come back under workers."""

import os
import signal
from collections.abc import Callable

import psycopg

from pgqueue.embedded import Server
from pgqueue.embedded.cluster import Cluster
from pgqueue.migrate import upgrade
from tests.support.fleet import children, is_alive
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class Database:
    """A server of the test's own, with pgqueue in it, to crash, freeze and start again."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.dsn = server.dsn()
        self._data = next(server.home.rglob("postmaster.pid")).parent

    @classmethod
    def fresh(cls, start_server: Callable[..., Server], **settings: str) -> "Database":
        """Start one with these settings, by the fixture of that name."""
        server = start_server(settings=settings)
        upgrade(server.dsn(), schema="pgqueue")
        return cls(server)

    @property
    def postmaster(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def everything(self) -> list[int]:
        return [self.postmaster, *children(self.postmaster)]

    def crash(self) -> None:
        """What `pg_ctl stop -m immediate` does."""
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        """What `pg_ctl stop -m fast` does."""
        self._stop(signal.SIGINT)

    def _stop(self, number: int) -> None:
        postmaster = self.postmaster
        os.kill(postmaster, number)
        wait_until(lambda: not is_alive(postmaster))

    def start(self) -> None:
        Cluster(home=self.server.home, settings=self.server._settings, durable=False, tcp=False).ensure_running()

    def freeze(self) -> None:
        for pid in self.everything():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self.everything():
            os.kill(pid, signal.SIGCONT)


class Again(Jobs):
    """Jobs over a connection that is opened again when the server was away."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        super().__init__(psycopg.connect(dsn, autocommit=True))

    def reconnect(self) -> None:
        self.conn.close()
        self.conn = psycopg.connect(self._dsn, autocommit=True)
