"""Runs `cpu=True` handlers in processes of their own, which can be killed: at their timeout, on cancel, and when the
lease is gone. A child that dies under a job tells exactly which job did it, so that loss counts against this job
alone (I11).

Parent and child talk in lines of JSON over a socket pair; nothing is pickled. The child is `child.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from pgqueue import codec
from pgqueue.capture import Lines
from pgqueue.codec import storable
from pgqueue.logs import SCOPE
from pgqueue.telling import place_of
from pgqueue.worker.answers import answer_of, stand_in
from pgqueue.worker.judge import Sink, bound, failed_remotely, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pgqueue.tracing import Tracer
    from pgqueue.worker.attempt import Attempt

log = logging.getLogger(__name__)

LINE_LIMIT = 64 * 1024 * 1024
START_SECONDS = 60.0


class ChildDied(Exception):  # noqa: N818 - what history shows
    """The process of a cpu handler ended under its job."""


class Child:
    """One process that runs one handler at a time."""

    def __init__(self, hello: dict[str, Any]) -> None:
        self._hello = hello
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def start(self) -> None:
        """Start the process, if it does not run, and wait until it has imported the app."""
        if self._process is not None and self._process.returncode is None:
            return
        await self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pgqueue.worker.child", str(theirs.fileno()), pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
        await self.send(self._hello)
        answer = await asyncio.wait_for(self.receive(), START_SECONDS)
        if answer is None or "ready" not in answer:
            raise ChildDied(f"the process could not import the app: {(answer or {}).get('error', 'it ended')}")

    async def send(self, message: dict[str, Any]) -> None:
        """Send a line."""
        if self._writer is None:
            raise ChildDied("the process is not running")
        self._writer.write(codec.dumps(message).encode() + b"\n")
        await self._writer.drain()

    async def receive(self) -> dict[str, Any] | None:
        """The next line; None when the process has ended."""
        if self._reader is None:
            return None
        try:
            line = await self._reader.readline()
        except (ConnectionError, ValueError):
            return None
        answer: dict[str, Any] | None = codec.loads(line) if line.endswith(b"\n") else None
        return answer

    async def ending(self) -> str:
        """How the process ended, in words."""
        if self._process is None:
            return "never started"
        code = await self._process.wait()
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"ended with status {code}"

    def kill(self) -> None:
        """Kill the process and what it started."""
        if self._process is not None and self._process.returncode is None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                log.debug("a cpu process was gone before it was killed")

    async def close(self) -> None:
        """Kill the process and forget it."""
        self.kill()
        if self._process is not None:
            await self._process.wait()
        if self._writer is not None:
            self._writer.close()
        self._process = self._reader = self._writer = None


class ProcessPool:
    """Runs cpu handlers, at most `size` at a time."""

    def __init__(
        self,
        size: int,
        sink: Sink,
        hello: dict[str, Any],
        on_progress: Callable[[Attempt, float | None, str | None], None],
        on_end: Callable[[], None],
        *,
        tracer: Tracer | None = None,
    ) -> None:
        self._size = size
        self._sink = sink
        self._tracer = tracer
        self._hello = hello
        self._on_progress = on_progress
        self._on_end = on_end
        self._ready: deque[Attempt] = deque()
        self._idle: list[Child] = []
        self._running: set[asyncio.Task[None]] = set()
        self.active: set[Attempt] = set()
        self.quick = 0

    def room(self) -> int:
        """How many more jobs it can be given now."""
        return self._size - self.held()

    def held(self) -> int:
        """How many jobs it has."""
        return len(self.active) + len(self._ready)

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """Take attempts, to be run in this order."""
        self._ready.extend(attempts)
        self._next()

    def waiting(self) -> list[Attempt]:
        """What has not started."""
        return list(self._ready)

    def withdraw(self) -> list[Attempt]:
        """Give back what has not started."""
        waiting = list(self._ready)
        self._ready.clear()
        return waiting

    def stop(self, attempt: Attempt, reason: str) -> None:
        """Kill a running handler."""
        attempt.stop_reason = reason
        if attempt in self.active and attempt.stopper is not None:
            attempt.stopper.kill()

    def _next(self) -> None:
        while self._ready and len(self._running) < self._size:
            attempt = self._ready.popleft()
            self.active.add(attempt)
            task = asyncio.get_running_loop().create_task(self._run(attempt))
            self._running.add(task)
            task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a cpu slot ended by an error of pgqueue", extra={"error": place_of(error)})
        self._next()

    async def _run(self, attempt: Attempt) -> None:
        SCOPE.set(attempt)
        child = self._idle.pop() if self._idle else Child(self._hello)
        try:
            if bound(self._sink, attempt) is not None:
                await self._attempt(attempt, child)
        except (OSError, TimeoutError, ChildDied) as error:  # before the job was sent
            log.error("no process for a cpu job", extra={**attempt.log_fields(), "error": str(error)})
            described = {"type": "ChildDied", "message": storable(str(error), 4000)}
            failed_remotely(self._sink, attempt, error, described)
            await child.close()
        finally:
            self._idle.append(child)
            self.active.discard(attempt)
            self._on_end()

    async def _attempt(self, attempt: Attempt, child: Child) -> None:
        await child.start()
        if attempt.stopped:  # while the process started
            judge(self._sink, attempt, asyncio.CancelledError())
            return
        attempt.begin(time.monotonic())
        attempt.stopper = child
        if self._tracer is not None:
            attempt.trace = self._tracer.enter(attempt)
        row = list(attempt.row)
        row[9] = None  # the timeout is kept here
        await child.send(
            {
                "job": [str(v) if i in {11, 12} else v for i, v in enumerate(row)],
                "queue": attempt.queue,
                "token": attempt.token,
                "worker": attempt.worker,
                "trace": attempt.trace.carrier() if attempt.trace is not None else None,
            }
        )
        answer = await self._answer(attempt, child)
        if answer is not None:
            self._judge(attempt, answer)
        elif attempt.stop_reason is not None:
            await child.ending()
            judge(self._sink, attempt, asyncio.CancelledError())
        else:
            how = await child.ending()
            message = (
                f"the process of the handler was {how}"
                if how.startswith("killed")
                else f"the process of the handler {how}"
            )
            self._sink.ended(
                attempt,
                "lost",
                delay=attempt.task.backoff.delay(1),
                error={"type": "ChildDied", "message": message},
                alone=True,
            )

    async def _answer(self, attempt: Attempt, child: Child) -> dict[str, Any] | None:
        """What the handler came to; on the way progress and log lines. None when the process has ended."""
        while (answer := await child.receive()) is not None:
            if "progress" in answer:
                self._on_progress(attempt, *answer["progress"])
            elif "lines" in answer:
                attempt.lines = attempt.lines or Lines()
                attempt.lines.absorb(*answer["lines"])
            else:
                break
        return answer

    def _judge(self, attempt: Attempt, answer: dict[str, Any]) -> None:
        match answer["end"]:
            case "completed":
                self._sink.verify(attempt)
            case "value":
                self._sink.succeeded(attempt, answer["result"])
            case "unserialisable":
                self._sink.ended(attempt, "dead", error=answer["error"])
            case "answer":
                judge(self._sink, attempt, answer_of(answer))
            case _:
                error = stand_in(answer["policy"], answer["error"]["message"])
                failed_remotely(self._sink, attempt, error, answer["error"])

    async def close(self) -> None:
        """Kill the children."""
        for child in self._idle:
            await child.close()
        for attempt in tuple(self.active):
            self.stop(attempt, "shutdown")
        if self._running:
            await asyncio.wait(self._running, timeout=1.0)
            for child in self._idle:
                await child.close()
