"""Answers GET requests from threads: probes and metrics, which have to answer whatever the rest of the process does.

Knows nothing of jobs. Requests are small and have no body; a client that sends slowly is cut off, and so many at a time
are answered that a flood of them costs little.
"""

from __future__ import annotations

import logging
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from pgqueue.errors import ConfigError
from pgqueue.telling import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0  # for a client to send its request, and to take its answer
AT_ONCE = 32
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: the path without its query, the query's values by name, and headers by lower-case name."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to it."""

    status: int
    body: bytes
    content_type: str = TEXT
    encoding: str | None = None


def text(status: int, said: str) -> Answer:
    """An answer in plain text."""
    return Answer(status, f"{said}\n".encode())


def parse_address(written: str) -> tuple[str, int]:
    """Read `host:port`, `[::1]:port` or `:port` (every address of the machine). Raises ConfigError."""
    host, colon, port = written.strip().rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigError(f'"{written}" is not an address to listen on; write 127.0.0.1:9758, [::1]:9758 or :9758')
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ConfigError(f'"{written}": put an IPv6 address into brackets, such as [::1]:9758')
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what was asked for


class WebServer:
    """One listening port. It is bound when made, and answers from `start` until `stop`."""

    def __init__(self, host: str, port: int, answer: Callable[[Request], Answer]) -> None:
        """Listen; port 0 takes a free one. Raises ConfigError when that is not possible."""
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            kind = type("Listener", (_Listener,), {"address_family": family})
            self._server: _Listener = kind(address[:2], answer)
        except OSError as error:
            said = error.strerror or error
            raise ConfigError(f"cannot listen on {shown(host, port)}: {said}; choose another address or port") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="pgqueue-web", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where it listens."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more, and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def shown(host: str, port: int) -> str:
    """Write an address as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[Any, ...], answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.places = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((str(address[0]), int(address[1])), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a request a thread of its own, if there is a place left."""
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's
        """A client that went away is no news."""
        log.debug("a request was not answered", extra={"client": str(client_address)})


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    server_version = "pgqueue"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Answer."""
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(parts.path, parse_qs(parts.query, keep_blank_values=True), headers)
        try:
            answer = self.server.answer(request)
        except Exception as error:  # noqa: BLE001 - whoever asked gets an answer
            said = {"path": parts.path[:100], "error": place_of(error)}
            log.error("a request could not be answered", extra=said)
            answer = text(500, "an error of pgqueue: see the log")
        self._send(answer)

    do_HEAD = do_GET  # noqa: N815 - the base class's word

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.encoding is not None:
            self.send_header("Content-Encoding", answer.encoding)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
        """Requests are debugging: probes come every few seconds."""
        log.debug("request", extra={"client": self.client_address[0], "said": format % args})
