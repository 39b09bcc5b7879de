"""Where threads stand, as text: functions, files and lines, and nothing that a job was given. May be asked from any
thread; takes no lock.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LIMIT = 16_000  # characters, of all stacks together
FRAMES = 60  # the innermost of a thread


def stack_of(thread: int | None) -> str:
    """The stack of one thread, by its identifier, the innermost frame first; empty when it has ended."""
    frame = sys._current_frames().get(thread or 0)  # noqa: SLF001 - the documented way to a thread's stack
    return "" if frame is None else "".join(_lines(frame))[:LIMIT]


def all_stacks(first: int | None = None) -> str:
    """The stacks of all Python threads, each under its name, this one first."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001
    order = sorted(frames, key=lambda ident: (ident != first, names.get(ident, "")))
    parts = [
        f"Thread {names.get(ident, ident)}:\n" + "".join(_lines(frames[ident]))
        for ident in order
        if ident != threading.get_ident()
    ]
    return "\n".join(parts)[:LIMIT]


def _lines(frame: FrameType | None) -> Iterator[str]:
    for _ in range(FRAMES):
        if frame is None:
            return
        code = frame.f_code
        yield f'  File "{code.co_filename}", line {frame.f_lineno}, in {code.co_qualname}\n'
        frame = frame.f_back
    if frame is not None:
        yield "  ...\n"
