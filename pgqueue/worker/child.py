"""The process that runs `cpu=True` handlers for a worker: reads a job, runs it, answers, until its parent is gone.

It imports the app as the parent did, so handlers come from the registry and never from what a job says. Everything
that it prints goes where the worker's output goes; the conversation has a socket of its own.
"""

from __future__ import annotations

import contextvars
import ctypes
import importlib
import os
import select
import signal
import socket
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from pgqueue import capture, codec
from pgqueue.context import Context
from pgqueue.errors import ArgumentError
from pgqueue.logs import SCOPE
from pgqueue.outcome import Answer, Retry, Snooze
from pgqueue.worker import logs
from pgqueue.worker.attempt import ID, Attempt, describe
from pgqueue.worker.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable


PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


def main() -> None:
    """Serve jobs over the socket whose descriptor is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _be_killed_with_parent()
    conn = socket.socket(fileno=int(sys.argv[1]))
    outlet = Outlet(conn)
    threading.Thread(target=_end_with_parent, args=(conn, outlet, os.getppid()), daemon=True).start()
    lines = conn.makefile("rb")
    hello = codec.loads(lines.readline())
    if hello["log"]:
        logs.configure(*hello["log"])
    sys.path[:] = hello["path"]
    try:
        module, _, name = hello["app"].partition(":")
        app = getattr(importlib.import_module(module), name)
    except BaseException as error:  # noqa: BLE001 - told to the parent, which says it for all its jobs
        outlet.send({"error": f"{type(error).__name__}: {error}"})
        return
    app.configure(dsn=hello["dsn"], schema=hello["schema"])
    _observe(app, outlet, hello)
    outlet.send({"ready": os.getpid()})
    for line in lines:
        outlet.send(_run(outlet, app, codec.loads(line)))


def _be_killed_with_parent() -> None:
    """Ask the kernel to kill this process when the worker has gone: no Python runs while a handler in C holds the
    interpreter's lock, and the job may run elsewhere at once. Elsewhere than on Linux the thread below has to do.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _observe(app: Any, outlet: Outlet, hello: dict[str, Any]) -> None:
    """Do about logs and traces as the worker does."""
    logs.mask_with(app.masking)
    levels = (task.capture_level for task in app.tasks.values())
    if handler := capture.handler_for(hello["capture_logs"], levels, app.masking, mine=lambda _: True):
        handler.keep = outlet.add
        capture.install(handler)
    if hello["traced"] and app.tracer is None:
        from pgqueue.otel import instrument

        instrument(app)


def _end_with_parent(conn: socket.socket, outlet: Outlet, parent: int) -> None:
    """End this process when the worker has gone, even in the middle of a handler; send on what a silent one logged."""
    poll = select.poll()
    poll.register(conn, select.POLLHUP | getattr(select, "POLLRDHUP", 0))
    while True:
        if poll.poll(1000) or os.getppid() != parent:
            os._exit(1)
        outlet.flush_soon()


def _run(outlet: Outlet, app: Any, message: dict[str, Any]) -> dict[str, Any]:
    row = message["job"]
    task = app.tasks[row[2]]
    attempt = Attempt(row, task, message["queue"], message["token"], worker=message["worker"])
    context = Context(
        job_id=row[ID],
        token=attempt.token,
        read_job=attempt.info,
        client=app.client,
        encode=task.encode_result,
        report=lambda fraction, note: outlet.send({"progress": [fraction, note]}),
        stop=lambda: None,
        is_async=False,
    )
    outlet.begin(attempt)
    try:
        args, kwargs = task.bind(attempt.arguments())
        call = partial(task.run_target, context) if task.wants_ctx else task.run_target
        value = contextvars.copy_context().run(_within, attempt, message["trace"], call, *args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - told to the parent, which judges it
        if isinstance(error, SystemExit) and not isinstance(error, Exception):
            error = RuntimeError(f"the handler called sys.exit({error.code!r})").with_traceback(error.__traceback__)
        return _raised(error)
    finally:
        outlet.end()
    if context.completed:
        return {"end": "completed"}
    if isinstance(value, Answer):
        return _raised(value)
    try:
        return {"end": "value", "result": None if value is None else task.encode_result(value)}
    except ArgumentError as error:
        return {"end": "unserialisable", "error": describe(error)}


def _within(
    attempt: Attempt, carrier: dict[str, str] | None, call: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """Run a handler where logs and traces know whose it is. The span is the worker's; a trace goes on here."""
    SCOPE.set(attempt)
    if carrier:
        from pgqueue.otel import resume

        attempt.trace = resume(carrier)
    return call(*args, **kwargs)


def _raised(error: BaseException) -> dict[str, Any]:
    if isinstance(error, Answer):
        wait = error.after if isinstance(error, Retry) else error.for_ if isinstance(error, Snooze) else None
        verb = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "pgqueue.outcome")
        return {
            "end": "answer",
            "verb": verb,
            "reason": error.reason,
            "seconds": None if wait is None else wait.total_seconds(),
        }
    names = [f"{kind.__module__}:{kind.__qualname__}" for kind in type(error).__mro__]
    return {"end": "raised", "policy": names, "error": describe(error, skip=2)}


if __name__ == "__main__":
    main()
