"""What ties a worker process to the database: its identity there, its lease, its connections.

The identity is a random id with an epoch. After a broken connection the epoch is ended, so that a claim which is
still on its way through the old connection is refused, and the claims whose answers were lost are asked for by their
tokens (I5). A worker that was declared lost begins again under a new id.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import psycopg

from pgqueue.telling import reason_of
from pgqueue.version import VERSION
from pgqueue.worker import claim as claims
from pgqueue.worker.declare import declare
from pgqueue.worker.house import RESCUE, house
from pgqueue.worker.lease import Keepalive, Request
from pgqueue.worker.notes import Notes
from pgqueue.worker.reconcile import Reconciler
from pgqueue.worker.session import Rows, Session, draw_worker_id
from pgqueue.worker.term import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pgqueue.app import App
    from pgqueue.worker.attempt import Attempt
    from pgqueue.worker.options import WorkerOptions
    from pgqueue.worker.server import Server, Witness
    from pgqueue.worker.settle import Outbox

log = logging.getLogger(__name__)

HANG_SECONDS = 2.0
FAREWELL_SECONDS = 5.0
WITNESSES = 24  # heartbeats whose place in the log is remembered


class Link:
    """The worker's place in the database."""

    def __init__(self, app: App, options: WorkerOptions, outbox: Outbox, *, queues: Sequence[str]) -> None:
        self._app = app
        self._options = options
        self._outbox = outbox
        self._session = Session(app.dsn, app.schema)
        self._loop = asyncio.get_running_loop()
        self._keepalive: Keepalive | None = None
        self._pending: int | None = None
        self._registered = False
        self.on_cancel: Callable[[list[int]], None] = lambda _: None
        self.on_lost: Callable[[int], None] = lambda _: None
        self.on_late: Callable[[], None] = lambda: None
        self.on_registered: Callable[[int], None] = lambda _: None
        self.queues = queues
        self.running: Callable[[], int] = lambda: 0
        self.listener_pid: Callable[[], int | None] = lambda: None
        self.lease = Lease(options.lease_seconds)
        self.turned_at = time.monotonic()
        self.on_undone: Callable[[list[int]], None] = lambda _: None
        self.holds: Callable[[], list[Attempt]] = list
        self.uncertain: set[int] = set()
        self.in_flight: set[int] = set()  # tokens of claims on the lease's connection that are not answered yet
        self._server: Server | None = None  # the one whose state this worker knows
        self._witnesses: deque[Witness] = deque(maxlen=WITNESSES)
        self.notes = Notes(self)
        self.worker_id = 0
        self.epoch = 0

    @property
    def ready(self) -> bool:
        """Whether steps can be sent: connected, registered, and sure of what it holds."""
        return self._registered and not self.uncertain and not self._session.broken

    async def open(self) -> None:
        """Connect, register, and start beating. Raises psycopg.Error."""
        await self._session.connect()
        self._server = self._session.server
        await self._register()
        await declare(self._app, self._session)
        self._keepalive = Keepalive(
            self._app.dsn,
            self._app.schema,
            self.lease,
            worker_id=lambda: self.worker_id if self._registered else None,
            describe=lambda: {"running": self.running(), "listener_pid": self.listener_pid()},
            loop_turned_at=lambda: self.turned_at,
            on_beat=lambda jobs: self.on_loop(self.on_cancel, jobs) if jobs else None,
            on_lost=lambda worker_id: self.on_loop(self.on_lost, worker_id),
            on_server=lambda server, witness: self.on_loop(self._met, server, witness),
            duties=house(self._app.dsn, self.lease.seconds, may_judge=self._steady, on_late=self.on_late),
        )
        self._keepalive.start()

    def _steady(self) -> bool:
        return self._keepalive is not None and self._keepalive.steady()

    async def restore(self) -> list[tuple[str, int, Sequence[Any]]]:
        """Become ready again. Returns jobs (queue, token, row) that claims had leased whose answers were lost. Raises
        psycopg.Error.
        """
        if self._session.broken:
            await self._session.connect()
            if self._pending is not None:
                self.uncertain.add(self._pending)
                self._pending = None
            if self._registered:
                await self._recover(None)
        found: list[tuple[str, int, Sequence[Any]]] = []
        while self.uncertain and self._registered:
            token = next(iter(self.uncertain))
            found += [(row[2], token, row[3:]) for row in await self._recover(token)]
            self.uncertain.discard(token)
        if self._session.server != self._server:
            await self._compare({token for _, token, _ in found} | self.in_flight)
        if not self._registered:
            self.uncertain.clear()
            await self._register()
        return found

    async def _compare(self, spared: set[int]) -> None:
        """Another server answers than before, or it was restarted: find out what it forgot. Raises psycopg.Error."""
        server = self._session.server
        if server is not None and self._server is not None:
            reconciler = Reconciler(self._session.run, self._outbox, step_params=self.step_params)
            undone = await reconciler.reconcile(
                self.worker_id, self.holds(), spared, before=self._server, server=server, witnesses=self._witnesses
            )
            self.on_undone(undone)
        self._server = server
        self._witnesses.clear()

    def _met(self, server: Server, witness: Witness) -> None:
        """A heartbeat was answered by this server. A pooler may hide from the loop that it is another one."""
        if server == self._server:
            self._witnesses.append(witness)
        elif self._server is not None and server != self._session.server and not self._session.broken:
            log.warning("the heartbeat meets another server: the connection for jobs is opened anew")
            self._session.abort()

    async def _recover(self, token: int | None) -> Rows:
        rows = await self._session.run("recover", {"worker_id": self.worker_id, "token": token})
        if not rows[0][0]:
            self.on_lost(self.worker_id)
            return []
        self.epoch = rows[0][1]
        return rows[1:]

    async def _register(self) -> None:
        params = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queues": list(self.queues),
            "tasks": sorted(self._app.tasks),
            "concurrency": self._options.concurrency,
            "lease_seconds": self.lease.seconds,
            "version": VERSION,
        }
        if self.worker_id:  # it was declared lost, and is not stuck any more
            await self._session.run("recovered", {"worker_id": self.worker_id})
        taken = True
        while taken:
            self.worker_id, self.epoch = draw_worker_id(), 0
            sent = time.monotonic()
            rows = await self._session.run("register_worker", {"worker_id": self.worker_id, **params})
            taken = not rows[0][0]
        self._registered = True
        self.lease.extend(sent)
        self.on_registered(self.worker_id)
        log.info(
            "registered", extra={"worker": self.worker_id, "queues": list(self.queues), "pooled": self._session.pooled}
        )

    def forget(self) -> None:
        """The identity is gone: a new one is taken at the next restore."""
        self._registered = False
        self.lease.drop()

    def step_params(self, token: int, claim: dict[str, Any], settle: dict[str, Any]) -> dict[str, Any]:
        """All parameters of a step."""
        return {"worker_id": self.worker_id, "epoch": self.epoch, "token": token, **claim, **settle}

    async def step(self, token: int, claim: dict[str, Any], settle: dict[str, Any]) -> Rows:
        """Settle and claim. Raises psycopg.Error; what was claimed is then found by `restore`."""
        self._pending = token if claim is not claims.NO_CLAIM else None
        rows = await self._send(token, claim, settle)
        self._pending = None
        return rows

    async def _send(self, token: int, claim: dict[str, Any], settle: dict[str, Any]) -> Rows:
        name = "step_logging" if "logs" in settle else "step"
        return await self._session.run(name, self.step_params(token, claim, settle))

    async def claim_alone(self, queue: str, token: int, tasks: list[str]) -> Rows:
        """Claim one job that has to run alone. Raises psycopg.Error."""
        self._pending = token
        rows = await self._session.run(
            "claim_alone",
            {"worker_id": self.worker_id, "epoch": self.epoch, "token": token, "queue": queue, "tasks": tasks},
        )
        self._pending = None
        return rows

    async def run(self, name: str, params: dict[str, Any]) -> Rows:
        """Any other statement on the loop's connection. Raises psycopg.Error."""
        return await self._session.run(name, params)

    @property
    def broken(self) -> bool:
        """Whether the loop's connection is gone."""
        return self._session.broken

    def refused(self) -> None:
        """The server refused a step, so nothing was claimed by it."""
        self._pending = None

    def abort(self) -> None:
        """Break the loop's connection under whoever waits on it."""
        self._session.abort()

    def ask(self, request: Request) -> None:
        """Run a statement on the lease's connection."""
        if self._keepalive is not None:
            self._keepalive.ask(request)

    def heartbeat_dead(self, now: float) -> bool:
        """Whether the thread that beats has ended, or hangs where nothing can cut it off."""
        return self._keepalive is not None and self._keepalive.dead(now)

    def rescue_now(self) -> None:
        """Look for lost workers now. Called from any thread."""
        if self._keepalive is not None:
            self._keepalive.hurry(RESCUE)

    def beat_now(self) -> None:
        """Look for cancel requests now."""
        if self._keepalive is not None:
            self._keepalive.beat_now()

    def watch(self, now: float) -> None:
        """See to it that nothing hangs for longer than the lease allows."""
        self.turned_at = now
        if self._keepalive is not None:
            self._keepalive.watch(now)
        since = self._session.busy_since
        if since is not None and self.lease.remaining(now) <= 0 and now - since > HANG_SECONDS:
            self._session.abort()  # no heartbeat, and no answer here either: the server is out of reach

    async def close(self, outbox: Outbox) -> None:
        """Settle what is left, hand back the rest, and leave. A database that stays away is left to the rescue."""
        self.on_lost = lambda _: None  # a heartbeat that finds no row says nothing new
        if self._registered and (outbox or not self._session.broken):
            leaving = asyncio.ensure_future(self._take_leave(outbox))
            done, _ = await asyncio.wait({leaving}, timeout=FAREWELL_SECONDS)
            if not done:
                self._session.abort()  # a cancel would have to be answered by a server that does not answer
            try:
                await leaving
            except (psycopg.Error, OSError) as error:
                said = reason_of(error)
                log.warning("could not take leave of the database; the lease will run out", extra={"error": said})
        if self._keepalive is not None:
            await asyncio.to_thread(self._keepalive.stop)
        self._session.abort()
        await self._session.close()

    async def _take_leave(self, outbox: Outbox) -> None:
        if self._session.broken:
            await self._session.connect()
        while batch := outbox.take(10_000):
            await self._send(1, claims.NO_CLAIM, claims.batch_params(batch))
        await self._session.run("leave", {"worker_id": self.worker_id})

    def on_loop(self, call: Callable[..., None], *args: Any) -> None:
        """Call something on the loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            log.debug("the loop was closed before it heard of the lease")
