"""The network between clients and server, which can be spoiled connection by connection.

Beside what tests/support/faultproxy.py does to all connections at once, this one chooses victims by a number from a
seed, follows a server whose port changes, and loses answers: the server has done what it was asked, the client never
hears of it. That is the ambiguous commit, for a producer's COMMIT and for a worker's step alike.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s
_COMMIT = b"COMMIT"


class Link:
    """One connection through the proxy, with both of its ends."""

    def __init__(self, proxy: "Proxy") -> None:
        self.proxy = proxy
        self.ends: dict[str, asyncio.Transport] = {}
        self.early: list[bytes] = []  # from the client, before the server's end is there
        self.hole = False
        self.gone = False  # one of its ends has closed
        self.held: list[tuple[str, bytes]] = []
        self.doomed = False  # the next whole answer is lost, and the connection with it

    def carry(self, to: str, data: bytes) -> None:
        """Pass bytes on, or do to them what was asked for."""
        if self.hole:
            self.held.append((to, data))
            return
        data = self.proxy.from_client(self, data) if to == "server" else self.proxy.from_server(self, data)
        if not data:
            return
        end = self.ends.get(to)
        if end is not None:
            if not end.is_closing():
                end.write(data)
        elif to == "server":
            self.early.append(data)

    def open_hole(self) -> None:
        self.hole = True

    def close_hole(self) -> None:
        """Deliver what was held back, in order."""
        self.hole = False
        held, self.held = self.held, []
        for to, data in held:
            self.carry(to, data)
        if self.gone:
            self.close()

    def close(self) -> None:
        """Close both ends, once what was written is through."""
        for end in self.ends.values():
            end.close()

    def reset(self) -> None:
        """A RST to both sides."""
        for end in self.ends.values():
            with contextlib.suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            end.abort()
        self.forget()

    def forget(self) -> None:
        self.gone = True
        self.proxy.links.pop(self, None)


class _End(asyncio.Protocol):
    """One end of a link; `to` is where its bytes go."""

    def __init__(self, link: Link, name: str, to: str) -> None:
        self._link, self._name, self._to = link, name, to

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._link.ends[self._name] = transport
        if self._name == "client":
            self._link.proxy.accepted(self._link)
            return
        for data in self._link.early:
            transport.write(data)
        self._link.early.clear()
        if self._link.gone:
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._link.carry(self._to, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.forget()
        if not self._link.hole:
            self._link.close()


class Proxy:
    """Runs an event loop in a thread of its own; every public method may be called from any thread."""

    def __init__(self, target: Callable[[], int]) -> None:
        """`target` says at which port of this machine the server listens now."""
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="soak proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.links: dict[Link, None] = {}
        self.doomed_commits = 0
        self.lost_answers = 0

    def __enter__(self) -> "Proxy":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def call(self, function: Callable[[], object]) -> None:
        """Run a function on the proxy's loop and wait for it."""

        async def run() -> None:
            function()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def reset(self, share: float, pick: float) -> int:
        """Reset a share of the connections; how many."""
        chosen = self._choose(share, pick)
        self.call(lambda: [link.reset() for link in chosen])
        return len(chosen)

    def black_hole(self, share: float, pick: float, seconds: float) -> int:
        """Let the bytes of a share of the connections vanish, until so many seconds are over; how many."""
        chosen = self._choose(share, pick)

        def begin() -> None:
            for link in chosen:
                link.open_hole()
            self._loop.call_later(seconds, lambda: [link.close_hole() for link in chosen])

        self.call(begin)
        return len(chosen)

    def lose_answers(self, share: float, pick: float) -> int:
        """Lose the next answer on a share of the connections, and the connections with it; how many."""
        chosen = self._choose(share, pick)

        def doom() -> None:
            for link in chosen:
                link.doomed = True

        self.call(doom)
        return len(chosen)

    def lose_commits(self, number: int) -> None:
        """Lose the answers to the next so many COMMITs, of whichever client."""

        def doom() -> None:
            self.doomed_commits += number

        self.call(doom)

    def restore(self) -> None:
        """Spoil nothing any more."""

        def calm() -> None:
            self.doomed_commits = 0
            for link in list(self.links):
                link.doomed = False
                link.close_hole()

        self.call(calm)

    # What a subclass may look into.

    def from_client(self, link: Link, data: bytes) -> bytes:
        """Bytes on their way to the server."""
        if self.doomed_commits and _COMMIT in data:
            self.doomed_commits -= 1
            link.doomed = True
        return data

    def from_server(self, link: Link, data: bytes) -> bytes:
        """Bytes on their way to a client. An answer has been given whole when ReadyForQuery, idle, ends it."""
        if link.doomed and data[-6:-1] == b"Z\x00\x00\x00\x05":
            self.lost_answers += 1
            link.reset()
            return b""
        return data

    def accepted(self, link: Link) -> None:
        """A client is there: connect to the server."""
        self.links[link] = None
        task = self._loop.create_task(self._reach(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reach(self, link: Link) -> None:
        try:
            await self._loop.create_connection(lambda: _End(link, "server", "client"), "127.0.0.1", self._target())
        except OSError:
            link.reset()

    def _choose(self, share: float, pick: float) -> list[Link]:
        links = list(self.links)
        if not links:
            return []
        count = max(1, round(share * len(links)))
        start = int(pick * len(links))
        return [links[(start + place) % len(links)] for place in range(min(count, len(links)))]

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(lambda: _End(Link(self), "client", "server"), "127.0.0.1", 0)

    def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for link in list(self.links):
            link.reset()
