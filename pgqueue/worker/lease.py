"""Holds the worker's lease: beats from a thread with a connection of its own, so that no handler on the loop can stop
it.

The thread also rescues the jobs of lost workers, takes its turns at keeping the house (keeper/), and makes full
passes that have become too costly for the loop's connection. It beats only while the loop turns: a process whose loop
stands still for a lease gives its jobs up. The loop, in turn, judges by `Lease.remaining`, without asking the thread
or the database, whether its handlers may still run: they are stopped before the lease can be taken (I3).
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

log = logging.getLogger(__name__)

# Handlers are stopped this part of the lease before it ends: time to unwind before anyone can take their jobs.
MARGIN = 0.2
# A beat that takes longer than this part of the lease is cut off from outside.
PATIENCE = 0.4
RETRY_SECONDS = 5.0  # before a duty that failed is tried again

Rows = list[tuple[Any, ...]]


class Lease:
    """How long this worker may be sure of its jobs, by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = float("-inf")

    def extend(self, sent_at: float) -> None:
        """A heartbeat that was sent then has been recorded."""
        self._until = max(self._until, sent_at + self.seconds)

    def drop(self) -> None:
        """The lease is gone."""
        self._until = float("-inf")

    @property
    def until(self) -> float | None:
        """When it is over unless it is extended; None: there is none."""
        return self._until if self._until > float("-inf") else None

    def remaining(self, now: float) -> float:
        """Seconds until handlers have to be stopped; negative: they must not run."""
        return self._until - MARGIN * self.seconds - now


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

    def ask(self, request: Request) -> None:
        """Run a statement on this connection soon."""
        self._requests.put(request)

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
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = self._connect()
                turn = 0
                if time.monotonic() >= next_beat or self._asked:
                    self._asked = False
                    self._beat()
                    next_beat = time.monotonic() + self._lease.seconds / 3
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

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._loop_turned_at() > self._lease.seconds:
            log.error(
                "the event loop stands still: no heartbeat is sent in its name",
                extra={"seconds": round(now - self._loop_turned_at(), 1)},
            )
            return
        worker_id = self._worker_id()
        if worker_id is None:
            return
        self._busy_since = now
        rows = self._execute("beat", {"worker_id": worker_id, **self._describe()})
        self._busy_since = None
        jobs, *server, lsn, clock = rows[0]
        self._on_server(Server(*server), Witness(lsn, clock))
        if jobs is None:
            self._on_lost(worker_id)
            return
        self._lease.extend(now)
        if time.monotonic() - now > self._lease.seconds / 3:
            self._steady_since = None
        self._steady_since = self._steady_since or now
        self._on_beat(jobs)

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
        next_duty = min(self._due_at, default=until)
        try:
            request = self._requests.get(timeout=max(0.0, min(until, next_duty) - time.monotonic()))
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
            if isinstance(error, psycopg.errors.QueryCanceled):
                return
            raise
        finally:
            self._busy_since = None
        request.reply(rows)

    def _execute(self, name: str, params: Mapping[str, Any]) -> Rows:
        if self._conn is None:
            raise psycopg.OperationalError("not connected")
        return self._conn.execute(statement(name, self._schema), params).fetchall()
