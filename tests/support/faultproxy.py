"""A TCP proxy that spoils connections on request: what a network does to a client, without a network.

    with FaultProxy("127.0.0.1", port) as proxy:
        connect(host="127.0.0.1", port=proxy.port)
        proxy.black_hole()     # bytes vanish, the sockets stay up; restore() delivers what was held back
        proxy.strand()         # as a black hole that never ends, for the connections of now; new ones work
    proxy.reset()          # every connection gets a RST now
        proxy.latency = 0.05   # seconds that each chunk is late, in both directions
        proxy.refuse = True    # new connections are closed at once
        proxy.cut_after = 100  # a RST after that many bytes from the server, for connections made from now on

It runs an event loop in a thread of its own. The plain attributes may be set from any thread at any time.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class FaultProxy:
    def __init__(self, host: str, port: int) -> None:
        self.latency = 0.0
        self.refuse = False
        self.cut_after: int | None = None
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="faultproxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def black_hole(self) -> None:
        self._loop.call_soon_threadsafe(self._open.clear)

    def restore(self) -> None:
        self._loop.call_soon_threadsafe(self._open.set)

    def strand(self) -> None:
        self._call(self._strand())

    def reset(self) -> None:
        self._call(self._reset())

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)  # type: ignore[arg-type]

    async def _strand(self) -> None:
        self._open.clear()
        self._open = asyncio.Event()
        self._open.set()

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in self._writers:
            connection = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._carry(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        pair = {writer, server_writer}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._pump(reader, server_writer, limit=None),
                self._pump(server_reader, writer, limit=self.cut_after),
            )
        finally:
            self._writers -= pair
            server_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, limit: int | None) -> None:
        left, gate = limit, self._open
        while data := await reader.read(_CHUNK):
            if self.latency:
                await asyncio.sleep(self.latency)
            await gate.wait()
            if left is not None and len(data) > left:
                writer.write(data[:left])
                await writer.drain()
                await self._reset()
                return
            left = None if left is None else left - len(data)
            writer.write(data)
            await writer.drain()
        writer.close()
