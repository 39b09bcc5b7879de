"""What a supervisor finds out about worker processes that fell silent or ended, and how that comes into the database.

The supervisor touches no database: it tells one of its living processes, on the pipe by which it holds it, a JSON
object a line. That a process has ended is certain here, because its parent has waited for it; so its jobs need not wait
until its lease is over.
"""

from __future__ import annotations

import json
import logging
import signal
from typing import TYPE_CHECKING, Any

from pgqueue.worker import alarm, outside
from pgqueue.worker.settings import RECYCLED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pgqueue.worker.child_process import ChildProcess

log = logging.getLogger(__name__)

LEAD_SECONDS = 3.0  # a process takes a second to start
KEPT = 100  # findings that wait for a process to tell them to


class Coroner:
    """Looks at the children of one supervisor."""

    def __init__(self, children: Callable[[], Sequence[ChildProcess]], lease_seconds: float) -> None:
        self._children = children
        self._doubt_seconds = lease_seconds - min(LEAD_SECONDS, lease_seconds / 3)
        self._findings: list[dict[str, Any]] = []

    def doubts(self, child: ChildProcess, now: float) -> bool:
        """Whether a process will be killed soon, unless it says something: its jobs will want one for suspects."""
        return child.ready and not child.only_suspects and child.silent_for(now) > self._doubt_seconds

    def silent(self, child: ChildProcess, seconds: float) -> None:
        """A process has said nothing for so long, and will be killed: see where it stands."""
        state, dumped = outside.state(child.pid), alarm.read(child.stacks_fd)
        seen = outside.describe(child.pid)
        if state in outside.STOPPED:
            kind, detail, stack = "frozen", f"the process is stopped (state {state}, as by SIGSTOP)", seen
        elif dumped:
            kind, detail, stack = "gil_held", "code holds the interpreter's lock: no Python runs", f"{dumped}\n{seen}"
        else:
            kind, detail, stack = "loop_blocked", "the event loop does not turn", seen
        said = {"pid": child.pid, "kind": kind, "seconds": round(seconds, 1), "detail": detail, "stack": stack}
        log.error("a worker process makes no progress and is killed", extra=said)
        if kind != "loop_blocked":  # that one has said so itself, with its stack
            self._find(child, kind, f"{detail}; silent for {seconds:.1f} s, and killed", stack, seconds)

    def ended(self, child: ChildProcess, status: int) -> None:
        """A process has ended: if it did not take its leave, its jobs are free."""
        child.read()  # its last words
        if status in {0, RECYCLED}:
            return
        how = f"was ended by {_name(-status)}" if status < 0 else f"ended with status {status}"
        by = ", which its supervisor sent" if child.killed else ""
        self._find(child, "ended", f"the process {how}{by}", None, 0.0)

    def _find(self, child: ChildProcess, kind: str, detail: str, stack: str | None, seconds: float) -> None:
        if child.worker_id is None:  # it never got as far as the database
            return
        finding = {"worker_id": child.worker_id, "pid": child.pid, "kind": kind, "detail": detail, "stack": stack}
        self._findings.append(finding | {"since_seconds": seconds})
        del self._findings[:-KEPT]

    def deliver(self, now: float) -> None:
        """Tell what was found to a process that seems well; keep it while there is none."""
        for child in self._children():
            child.flush()
        if not self._findings:
            return
        well = [
            child for child in self._children() if child.ready and child.silent_for(now) < 1.0 and not child.dismissed
        ]
        if well:
            for finding in self._findings:
                well[0].say(json.dumps(finding).encode() + b"\n")
            self._findings.clear()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
