"""A credit bureau: a real HTTP server on loopback that takes so many requests a second, and keeps a log of all.

Each customer of it, by the key that it sends, has a bucket of tokens: a request takes one, or is refused with 429.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from zlib import crc32

PER_SECOND = 50
BURST = 15  # so many may arrive together: on their way some are late, others in time


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and the server's answer."""

    key: str
    person: str
    status: int
    score: int | None
    at_seconds: float  # by the server's monotonic clock


class Bureau:
    """Answers GET /scores/PERSON, with the header X-Api-Key, by a number."""

    def __init__(self) -> None:
        self.log: list[Request] = []
        self._tokens: dict[str, tuple[float, float]] = {}  # of each key: how many, when
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.bureau = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="bureau", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    def count(self, key: str) -> int:
        """How many requests of a customer were answered with a score."""
        return sum(request.key == key and request.score is not None for request in tuple(self.log))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, key: str, person: str) -> Request:
        """Judge a request, and write it down."""
        with self._lock:
            now = time.monotonic()
            tokens, since = self._tokens.get(key, (BURST, now))
            tokens = min(float(BURST), tokens + (now - since) * PER_SECOND)
            taken = tokens >= 1
            self._tokens[key] = (tokens - taken, now)
            status = HTTPStatus.OK if taken else HTTPStatus.TOO_MANY_REQUESTS
            request = Request(key, person, status, score(person) if taken else None, now)
            self.log.append(request)
        return request


def score(person: str) -> int:
    """The score of a person, from 300 to 850."""
    return 300 + crc32(person.encode()) % 551


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    bureau: Bureau


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        """Answer with a score, or with 429."""
        request = self.server.bureau.answer(self.headers["X-Api-Key"] or "", self.path.rpartition("/")[2])
        body = str(request.score or "").encode()
        self.send_response(request.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing: there is a log."""
