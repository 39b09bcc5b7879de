"""How long `pgq ui` waits for the other end of a connection. uvicorn by itself waits for ever for a request to arrive
and for an answer to be taken, so that some hundred idle connections, from anybody who reaches the port, would leave no
place for others.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 15.0  # from when a connection is idle until a request's headers are there
ANSWER_SECONDS = 120.0  # from then until the answer is taken; a change may take the database 60 s


class PatientProtocol(H11Protocol):
    """A connection that is closed when its other end is too slow. Browsers that keep one open open another."""

    _limit: asyncio.TimerHandle | None = None
    _at_work: object = None  # the request that is being answered

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(REQUEST_SECONDS)

    def handle_events(self) -> None:
        """Look at what has come; with a request's headers the wait for its answer begins."""
        super().handle_events()
        if self.cycle is not None and self.cycle is not self._at_work and not self.cycle.response_complete:
            self._at_work = self.cycle
            self._wait(ANSWER_SECONDS)

    def on_response_complete(self) -> None:
        """Wait for the next request; it may be there already."""
        self._wait(REQUEST_SECONDS)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        if self._limit is not None:
            self._limit.cancel()

    def _wait(self, seconds: float) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.loop.call_later(seconds, self.transport.abort)
