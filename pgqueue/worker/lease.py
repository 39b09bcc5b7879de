"""Holds the worker's lease: beats from a thread with a connection of its own, so that no handler on the loop can stop
it.

The thread also rescues the jobs of lost workers, takes its turns at keeping the house (keeper/), and makes full
passes that have become too costly for the loop's connection. A lease counts from when the loop turned last: a process
whose loop stands still for a lease loses its jobs, as one that is frozen does. The loop, in turn, judges by
`Lease.remaining`, without asking the thread or the database, whether its handlers may still run: they are stopped
before the lease can be taken (I3).
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import tuple_row

from pgqueue.calls import statement
from pgqueue.telling import place_of, reason_of
from pgqueue.worker.server import Server, Witness
from pgqueue.worker.session import conninfo, leave_times_as_text, shut_down_socket
from pgqueue.worker.tether import tie

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pgqueue.worker.term import Lease

log = logging.getLogger(__name__)

# A beat that takes longer than this part of the lease is cut off from outside.
PATIENCE = 0.4
BEHIND_SECONDS = 0.25  # a loop that has not turned for so long stands still, as far as a heartbeat is concerned
HUNG_SECONDS = 60.0  # and four leases: it takes that long where several servers are away
RETRY_SECONDS = 5.0  # before a duty that failed is tried again

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Request:
    """A statement to run between two beats, and who wants its rows (called from the thread)."""

    name: str
    params: Mapping[str, Any]
    reply: Callable[[Rows | BaseException], None]
    timeout_seconds: float


class Keepalive:
    """The thread that beats."""

    def __init__(
        self,
        dsn: str,
        schema: str,
        lease: Lease,
        *,
        worker_id: Callable[[], int | None],
        describe: Callable[[], Mapping[str, Any]],
        loop_turned_at: Callable[[], float],
        on_beat: Callable[[list[int]], None],
        on_lost: Callable[[int], None],
        on_server: Callable[[Server, Witness], None],
        duties: Sequence[Callable[[psycopg.Connection[tuple[Any, ...]], str], float]],
    ) -> None:
        """`describe` gives the changing parameters of a beat; `duties` run in turn, each returns the seconds until it
        wants to run again.
        """
        self._dsn = conninfo(dsn)
        self._schema = schema
        self._lease = lease
        self._worker_id = worker_id
        self._describe = describe
        self._loop_turned_at = loop_turned_at
        self._on_beat = on_beat
        self._on_lost = on_lost
        self._on_server = on_server
        self._duties = list(duties)
        self._due_at = [time.monotonic() + secrets.randbelow(1000) / 1000 for _ in duties]
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._conn: psycopg.Connection[tuple[Any, ...]] | None = None
        self._busy_since: float | None = None
        self._steady_since: float | None = None
        self._stopping = False
        self._asked = False
        self._recorded_turn = float("-inf")
        self._turned_at = time.monotonic()  # this thread
        self._thread = threading.Thread(target=self._run, name="pgqueue-lease", daemon=True)

    def start(self) -> None:
        """Start beating."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits a second for it."""
        self._stopping = True
        self._requests.put(None)
        self._thread.join(1.0)
        if self._thread.is_alive():
            shut_down_socket(self._conn)

    def dead(self, now: float) -> bool:
        """Whether the thread is gone, which code in handlers can bring about, or hangs where nothing can cut it off."""
        hung_seconds = max(4 * self._lease.seconds, HUNG_SECONDS)
        return not self._thread.is_alive() or now - self._turned_at > hung_seconds

    def ask(self, request: Request) -> None:
        """Run a statement on this connection soon."""
        self._requests.put(request)

    def hurry(self, duty: int) -> None:
        """Let the duty at this place come next. Called from any thread."""
        self._due_at[duty] = 0.0
        self._requests.put(None)

    def beat_now(self) -> None:
        """Beat without waiting for the next turn: somebody may have asked to cancel a job."""
        if not self._asked:
            self._asked = True
            self._requests.put(None)

    def steady(self) -> bool:
        """Whether heartbeats have been recorded without a break for a lease. Only who could beat may judge who did not:
        after an outage of the database nobody could.
        """
        since = self._steady_since
        return since is not None and time.monotonic() - since >= self._lease.seconds

    def watch(self, now: float) -> None:
        """Cut off a beat that hangs, as on a frozen server: called by the loop."""
        since = self._busy_since
        if since is not None and now - since > PATIENCE * self._lease.seconds:
            log.warning("a heartbeat hangs; its connection is cut off", extra={"seconds": round(now - since, 1)})
            self._busy_since = None
            shut_down_socket(self._conn)

    def _run(self) -> None:
        turn, next_beat = 0, time.monotonic()
        while not self._stopping:
            self._turned_at = time.monotonic()
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._connect()
                turn = 0
                if time.monotonic() >= next_beat or self._asked:
                    self._asked = False
                    behind = self._beat()
                    next_beat = time.monotonic() + (BEHIND_SECONDS if behind else self._lease.seconds / 3)
                self._house(next_beat)
                self._serve(next_beat)
            except (psycopg.Error, OSError) as error:
                self._busy_since = self._steady_since = None
                if self._ending():
                    return
                log.warning("the heartbeat's connection failed", extra={"error": reason_of(error), "turn": turn})
                self._drop()
                time.sleep(min(0.1 * 2 ** min(turn, 5), 2.0) * (0.5 + secrets.randbelow(1000) / 2000))
                turn += 1
                next_beat = 0.0
            except Exception as error:  # noqa: BLE001 - it is what keeps the lease
                log.error("the heartbeat thread met an error of pgqueue and goes on", extra={"error": place_of(error)})
                time.sleep(1.0)
        self._drop()

    def _ending(self) -> bool:
        return self._stopping

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        conn = psycopg.connect(
            self._dsn,
            autocommit=True,
            prepare_threshold=None,
            fallback_application_name="pgq work (lease)",
            row_factory=tuple_row,
        )
        leave_times_as_text(conn)
        tie(conn)
        return conn

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def _beat(self) -> bool:
        """Beat; returns whether the loop stands still, and another is wanted as soon as it turns."""
        now, turned_at = time.monotonic(), self._loop_turned_at()
        worker_id = self._worker_id()
        if worker_id is None:
            return False
        if now - turned_at > BEHIND_SECONDS:
            self._beat_behind(worker_id, now, turned_at)
            return True
        self._busy_since = now
        rows = self._execute("beat", {"worker_id": worker_id, **self._describe()})
        self._busy_since = None
        jobs, *server, lsn, clock = rows[0]
        self._on_server(Server(*server), Witness(lsn, clock))
        if jobs is None:
            self._on_lost(worker_id)
            return False
        self._lease.extend(now)
        if time.monotonic() - now > self._lease.seconds / 3:
            self._steady_since = None
        self._steady_since = self._steady_since or now
        self._on_beat(jobs)
        return False

    def _beat_behind(self, worker_id: int, now: float, turned_at: float) -> None:
        """Say once since when the loop stands still: the lease counts from then."""
        if turned_at <= self._recorded_turn:
            return
        self._busy_since = now
        rows = self._execute("beat_behind", {"worker_id": worker_id, "behind_seconds": now - turned_at})
        self._busy_since = None
        self._recorded_turn = turned_at
        if rows:
            self._lease.extend(turned_at)
        else:
            self._on_lost(worker_id)

    def _house(self, until: float) -> None:
        for place, duty in enumerate(self._duties):
            if self._conn is None or not self._due_at[place] <= time.monotonic() < until:
                continue
            self._due_at[place] = time.monotonic() + RETRY_SECONDS  # if it fails
            self._busy_since = time.monotonic()
            try:
                self._due_at[place] = time.monotonic() + duty(self._conn, self._schema)
            except psycopg.Error as error:
                self._refused(duty, error)
            self._busy_since = None

    def _refused(self, duty: object, error: psycopg.Error) -> None:
        """The server refused what a duty sent. The other duties, and above all the right to judge who did not beat, do
        not depend on that: one bad row must not stop the rescue of all jobs (I15). Raises when the connection broke.
        """
        if self._conn is None or self._conn.closed or error.sqlstate is None:
            raise error
        name = getattr(duty, "__name__", type(duty).__name__)
        said = {"duty": name, "sqlstate": error.sqlstate, "error": reason_of(error)}
        log.error("a duty was refused and is tried again", extra=said)

    def _serve(self, until: float) -> None:
        until = min([until, *self._due_at])
        try:
            request = self._requests.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return
        if request is None:
            return
        try:
            if self._conn is None:
                raise psycopg.OperationalError("not connected")
            self._busy_since = time.monotonic()
            with self._conn.transaction():
                self._conn.execute(f"set local statement_timeout = {int(request.timeout_seconds * 1000)}")
                rows = self._execute(request.name, request.params)
        except BaseException as error:
            request.reply(error)
            if isinstance(error, psycopg.Error) and error.sqlstate is not None and not self._broken():
                return  # the server refused it: that says nothing about heartbeats (I15)
            raise
        finally:
            self._busy_since = None
        request.reply(rows)

    def _broken(self) -> bool:
        return self._conn is None or self._conn.closed

    def _execute(self, name: str, params: Mapping[str, Any]) -> Rows:
        if self._conn is None:
            raise psycopg.OperationalError("not connected")
        return self._conn.execute(statement(name, self._schema), params).fetchall()
