"""Answers that several open pages share: asked for once, kept a moment, whoever comes meanwhile waits for the same
one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

_MOST = 256


class Shared:
    """A cache of moments."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, key: Hashable, seconds: float, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `ask` returned at most so many seconds ago. A failure is told to those who waited, and not
        kept."""
        kept = self._kept.get(key)
        if kept is None or kept[0] < time.monotonic() or kept[1].get_loop() is not asyncio.get_running_loop():
            self._forget_old()
            future = asyncio.ensure_future(ask())
            future.add_done_callback(lambda done: self._told(key, done, seconds))
            kept = self._kept[key] = (float("inf"), future)
        return await asyncio.shield(kept[1])

    def forget(self) -> None:
        """Forget all answers: something was changed, and whoever did it wants to see that at once."""
        self._kept.clear()

    def _told(self, key: Hashable, done: "asyncio.Future[Any]", seconds: float) -> None:
        if self._kept.get(key, (0, None))[1] is not done:
            return
        if done.cancelled() or done.exception() is not None:
            del self._kept[key]
        else:
            self._kept[key] = (time.monotonic() + seconds, done)

    def _forget_old(self) -> None:
        now = time.monotonic()
        if len(self._kept) >= _MOST:
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0] >= now}
