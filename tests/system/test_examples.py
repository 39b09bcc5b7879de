"""The examples do what their README says."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import psycopg
import pytest

from pgqueue.demo.smtp import MailServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.system]

WORK = [sys.executable, "-c", "from pgqueue.cli import main; main()", "work", "signup:app"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server that refuses the first delivery."""
    with MailServer(lambda _: 1) as server:
        yield server


@pytest.fixture
def page(dsn: str, mail: MailServer, repository: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The address of the page of examples/signup, and its worker."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = os.environ | {"PGQ_DSN": dsn, "PORT": str(port), "SMTP_PORT": str(mail.port)}
    with ExitStack() as stack:
        for command in ([sys.executable, "signup.py"], WORK):
            process = stack.enter_context(subprocess.Popen(command, cwd=repository / "examples/signup", env=env))
            stack.callback(process.kill)
        wait_until(lambda: listens(port), timeout=20)
        yield f"http://127.0.0.1:{port}", process


def test_a_sign_up_is_mailed_confirmed_and_not_reminded(
    page: tuple[str, "subprocess.Popen[bytes]"], mail: MailServer, conn: psycopg.Connection[Any]
) -> None:
    address, worker = page

    def state(task: str) -> Any:
        row = conn.execute("select id, state, attempt, error from pgqueue.jobs where task = %s", [task]).fetchone()
        assert row is not None
        return row

    for _ in range(2):  # the second time changes nothing
        urlopen(address, urlencode({"email": "ada@example.org"}).encode()).close()
    taken = wait_until(lambda: [entry for entry in mail.log if entry.mail], timeout=20)
    link = re.search(r"http\S+", taken[0].mail.get_payload(decode=True).decode())
    assert link is not None
    urlopen(link.group()).close()
    with pytest.raises(HTTPError):
        urlopen(f"{address}/confirm?token=guessed")

    wait_until(lambda: state("signup.send_link")[1:3] == ("succeeded", 2))
    assert state("signup.remind")[1] == "scheduled"
    conn.execute("select pgqueue.retry(%s)", [state("signup.remind")[0]])
    wait_until(lambda: state("signup.remind")[1] == "cancelled")

    assert state("signup.remind")[3]["message"] == "confirmed already"
    assert [entry.code for entry in mail.log] == [450, 250]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
