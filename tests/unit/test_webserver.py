"""The server of probes and metrics."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from pgqueue.errors import ConfigError
from pgqueue.webserver import Answer, Request, WebServer, parse_address, text

Serve = Callable[[Callable[[Request], Answer]], WebServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[WebServer] = []

    def start(answer: Callable[[Request], Answer]) -> WebServer:
        server = WebServer("127.0.0.1", 0, answer)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def ask(server: WebServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    conn = http.client.HTTPConnection(*server.address, timeout=10)
    conn.request(method, path)
    response = conn.getresponse()
    found = response.status, response.read()
    conn.close()
    return found


def test_a_request_is_answered_with_path_and_query(serve: Serve) -> None:
    server = serve(lambda request: text(200, f"{request.path} {request.query['exclude']}"))

    assert ask(server, "/livez?exclude=lease") == (200, b"/livez ['lease']\n")


def test_an_error_is_an_answer_too(serve: Serve) -> None:
    def fail(request: Request) -> Answer:
        raise RuntimeError("a secret")

    status, body = ask(serve(fail), "/")

    assert status == 500
    assert b"secret" not in body


def test_nothing_but_reading_is_answered(serve: Serve) -> None:
    server = serve(lambda request: text(200, "ok"))

    assert ask(server, "/", "POST")[0] == 501
    assert ask(server, "/", "HEAD") == (200, b"")


def test_a_request_that_hangs_holds_no_other_up(serve: Serve) -> None:
    hold = threading.Event()

    def answer(request: Request) -> Answer:
        if request.path == "/slow":
            hold.wait(10)
        return text(200, "ok")

    server = serve(answer)
    with socket.create_connection(server.address):  # sends nothing at all
        slow = threading.Thread(target=ask, args=(server, "/slow"))
        slow.start()
        try:
            assert ask(server, "/quick") == (200, b"ok\n")
        finally:
            hold.set()
            slow.join()


def test_a_taken_port_is_one_clear_line(serve: Serve) -> None:
    server = serve(lambda request: text(200, "ok"))
    port = server.address[1]

    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*choose another"):
        WebServer("127.0.0.1", port, lambda request: text(200, "ok"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), (":80", ("0.0.0.0", 80)), ("[::1]:80", ("::1", 80)), ("h:0", ("h", 0))],
)
def test_addresses_are_read(written: str, meant: tuple[str, int]) -> None:
    assert parse_address(written) == meant


@pytest.mark.parametrize("written", ["", "9758", "h:", "h:x", "h:70000", "::1:80", "h:-1"])
def test_what_is_no_address_is_said(written: str) -> None:
    with pytest.raises(ConfigError):
        parse_address(written)
