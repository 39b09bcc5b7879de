"""A worker process as its supervisor sees it: a pid, a pipe on which it says that it lives, and a lifeline to hold it
by.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

from pgqueue.worker import alarm
from pgqueue.worker.settings import SETTINGS

_IDENTITY = re.compile(rb"I(\d+);")


class ChildProcess:
    """One child: started once, watched, ended."""

    def __init__(
        self, settings: dict[str, Any], *, only_suspects: bool = False, replaces: ChildProcess | None = None
    ) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._heard_at = 0.0
        self.waits = bool(settings.get("wait"))
        self.only_suspects = only_suspects
        self.replaces = replaces
        self._unsaid = b""
        self.worker_id: int | None = None  # its latest, in the database
        self.ready = False
        self.dismissed = False  # told to end, because another takes its place
        self.killed = False
        self.status_fd = -1
        self.report_fd = -1  # where it reports, when the settings ask for that
        self.stacks_fd = -1  # where its stacks are dumped when it cannot say them itself
        self.started_at = 0.0

    def start(self) -> None:
        """Start the process, in a session of its own: a terminal's Ctrl-C reaches the supervisor only, which passes
        it on once. Raises OSError when the system has no process, memory or descriptor for it; nothing is left open.
        """
        self.started_at = self._heard_at = time.monotonic()
        theirs: dict[str, int] = {}
        try:
            self.status_fd, theirs["status_fd"] = os.pipe()
            theirs["lifeline_fd"], self._lifeline = os.pipe()
            self.stacks_fd = theirs["stacks_fd"] = alarm.open_file()
            os.set_blocking(self.status_fd, False)
            os.set_blocking(self._lifeline, False)
            if self._settings.get("reports"):
                self.report_fd, theirs["report_fd"] = os.pipe()
            settings = json.dumps(self._settings | theirs)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pgqueue.worker.main"],
                env=os.environ | {SETTINGS: settings},
                pass_fds=tuple(theirs.values()),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.close()
            if self.report_fd >= 0:
                os.close(self.report_fd)
            raise
        finally:
            for fd in set(theirs.values()) - {self.stacks_fd}:
                os.close(fd)

    def go(self) -> None:
        """Let a child that waits go on: the first one has shown that the app and the database are there."""
        self.waits = False
        self._heard_at = time.monotonic()
        self.say(b"g")

    def say(self, message: bytes) -> None:
        """Tell it something, now or when its pipe has room."""
        self._unsaid += message
        self.flush()

    def flush(self) -> None:
        """Say what could not be said yet."""
        while self._unsaid:
            try:
                self._unsaid = self._unsaid[os.write(self._lifeline, self._unsaid) :]
            except (BlockingIOError, BrokenPipeError):
                return  # it reads later; or it has ended, which is seen like any other end

    @property
    def pid(self) -> int:
        """Its process id; 0 before the start."""
        return self._process.pid if self._process is not None else 0

    def read(self) -> bytes:
        """What it said since the last time."""
        try:
            events = os.read(self.status_fd, 65536)
        except BlockingIOError:
            return b""
        if events:
            self._heard_at = time.monotonic()
            self.ready = self.ready or b"R" in events
            if found := _IDENTITY.findall(events):
                self.worker_id = int(found[-1])
        return events

    def excuse(self, seconds: float) -> None:
        """So much of its silence means nothing: who listens stood still, and maybe the whole machine."""
        self._heard_at += seconds

    def silent_for(self, now: float) -> float:
        """Seconds since it last said anything."""
        return max(now - self._heard_at, 0.0)

    def ended(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def dismiss(self) -> None:
        """Tell it to drain and end: it is not needed any more."""
        self.dismissed = True
        self.send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            self.killed = True
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Let go of its pipes."""
        for fd in (self.status_fd, self.stacks_fd, self._lifeline):
            if fd >= 0:
                os.close(fd)
