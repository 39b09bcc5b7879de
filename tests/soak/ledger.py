"""What processes did, in files outside PostgreSQL: each process appends whole lines to a file of its own, so that what
was written survives every kill, and no rollback touches it.

    S job token at   a handler has started          D job token at   it has come to its end
    X job token at   it was refused (LeaseLost)     F job token at   it fails now, on purpose
    A batch kind first count   a producer is about to enqueue jobs numbered from `first`
    K batch ids...             the commit was acknowledged
    U batch                    it was not: nobody knows, or it did not come through

`at` is in nanoseconds since 1970 by the machine's monotonic clock plus an offset that the harness hands out, so that
processes with a shifted clock write true times.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

FOLDER = "SOAK_FOLDER"
OFFSET = "SOAK_OFFSET_NS"
HOLD = "hold"  # while a file of this name is in the folder, producers wait


def offset() -> int:
    """What to add to the monotonic clock for the time of day, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()


class Ledger:
    """This process's file, made at the first line."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._file: int | None = None
        self._offset = int(os.environ.get(OFFSET) or offset())

    def now(self) -> int:
        """The true time."""
        return time.monotonic_ns() + self._offset

    def write(self, line: str) -> None:
        """Append a line in one write."""
        if self._file is None:
            path = Path(os.environ[FOLDER]) / f"{self._prefix}-{os.getpid()}-{time.monotonic_ns()}.ledger"
            self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
        os.write(self._file, f"{line}\n".encode())


class Tail:
    """Reads the lines that were added since the last time, of all files with a prefix in a folder."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._places: dict[Path, int] = {}

    def lines(self) -> Iterator[str]:
        """Whole new lines; half a line waits for its end."""
        for path in sorted(self._folder.glob(f"{self._prefix}-*.ledger")):
            with path.open("rb") as file:
                file.seek(self._places.get(path, 0))
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._places[path] = self._places.get(path, 0) + len(whole)
            yield from whole.decode().splitlines()
