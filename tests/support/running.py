"""A worker in a thread of the test: its loop is its own, so tests stay plain functions."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from pgqueue import App
from pgqueue.worker.options import WorkerOptions
from pgqueue.worker.worker import Worker

SPEC = "tests.support.jobs:app"


class Running:
    """A worker that runs until it is stopped."""

    def __init__(
        self, app: App, *, spec: str | None = None, on_suspects: Callable[[], None] | None = None, **options: Any
    ) -> None:
        self._ready = threading.Event()
        self.worker = Worker(
            app, WorkerOptions(**options), app_spec=spec, on_ready=self._ready.set, on_suspects=on_suspects
        )
        self.status: int | None = None
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="worker under test", daemon=True)

    def start(self) -> "Running":
        self._thread.start()
        assert self._ready.wait(20), self.error
        return self

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call something on the worker's loop, soon."""
        assert self.loop is not None
        self.loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """Ask it to stop; again: at once."""
        if self._thread.is_alive() and self.loop is not None and not self.loop.is_closed():
            self.call(self.worker.stop)

    def join(self, timeout: float = 20.0) -> int | None:
        """Wait for its end; its status."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the worker did not end"
        if self.error is not None:
            raise self.error
        return self.status

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def id(self) -> int:
        """The id of its row, which changes when it was declared lost."""
        assert self.worker._stepper is not None
        return self.worker._stepper._link.worker_id

    def _run(self) -> None:
        try:
            self.status = asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error
            self._ready.set()

    async def _main(self) -> int:
        self.loop = asyncio.get_running_loop()
        return await self.worker.run()
