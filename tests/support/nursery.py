"""Worker processes that are there at once: forked from a process that has imported everything, as `pgq work` has not.

A program: `run COUNT SHUTDOWN_TIMEOUT` on its input starts workers on the database of PGQ_DSN. It answers `started PID`
for each and `ended PID STATUS` when one has ended. With the end of its input it kills what is left.
"""

import contextlib
import os
import select
import signal
import sys
import traceback

from pgqueue.worker.main import Pipe, run
from pgqueue.worker.options import WorkerOptions
from tests.support.jobs import app

SPEC = "tests.support.jobs:app"


def main() -> None:
    """Serve until the input ends."""
    app.configure(dsn=os.environ["PGQ_DSN"], schema="pgqueue")
    lifeline, _held = os.pipe()
    children: set[int] = set()
    unread = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.005)
        if ready:
            data = os.read(0, 4096)
            if not data:
                break
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                _, count, timeout = line.split()
                children.update(start(lifeline, float(timeout)) for _ in range(int(count)))
        reap(children)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start(lifeline: int, timeout: float) -> int:
    """Fork a worker; its pid."""
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            pipe = Pipe(os.open(os.devnull, os.O_WRONLY), lifeline)
            options = WorkerOptions(concurrency=20, shutdown_timeout_seconds=timeout, lease_seconds=30)
            status = run(app, options, SPEC, pipe)
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            traceback.print_exc()
        finally:
            os._exit(status)
    say("started", pid)
    return pid


def reap(children: set[int]) -> None:
    """Tell who has ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        children.discard(pid)
        say("ended", pid, os.waitstatus_to_exitcode(status))


def say(*words: object) -> None:
    """Write one line."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
