"""A dump of all stacks that needs no Python to run: a thread in C, faulthandler's, writes it when nobody has put it off
for some seconds, also while code in C holds the interpreter's lock.

One a process, so only the processes of a fleet have it. It writes into a file that has no name and belongs to the
supervisor too, which reads it when the process has fallen silent.
"""

from __future__ import annotations

import faulthandler
import os
import tempfile

LIMIT = 64 * 1024


def open_file() -> int:
    """A descriptor of a new file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("pgqueue-stacks")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read(descriptor: int) -> str:
    """What was dumped; empty when nothing was."""
    return os.pread(descriptor, LIMIT, 0).decode("utf-8", "replace")


class Alarm:
    """The timer of this process."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._descriptor = descriptor
        self._seconds = seconds

    def put_off(self) -> None:
        """Write nothing for this many seconds from now on."""
        faulthandler.dump_traceback_later(self._seconds, file=self._descriptor)

    def stop(self) -> None:
        """Write nothing any more."""
        faulthandler.cancel_dump_traceback_later()

    def take(self) -> tuple[str, float]:
        """What was dumped, and when by the wall clock; the file is empty afterwards."""
        dumped, at = read(self._descriptor), os.fstat(self._descriptor).st_mtime
        if dumped:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        return dumped, at
