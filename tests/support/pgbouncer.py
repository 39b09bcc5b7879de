"""PgBouncer in transaction mode before a server, with so few connections that clients share them all the time."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from pgqueue.embedded import Server
from pgqueue.embedded.account import server_account
from tests.support.waiting import wait_until

PROGRAM = "pgbouncer"
QUIETLY = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
SETTINGS = """\
[databases]
* = host={host} port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
server_login_retry = 1
pidfile =
logfile = {folder}/pgbouncer.log
"""


class Pooler:
    """A running PgBouncer; `dsn` leads through it, `direct` past it."""

    def __init__(self, server: Server, port: int, log: Path) -> None:
        self.server = server
        self.direct = server.dsn()
        self.dsn = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        self.log = log


def program() -> str:
    """Where pgbouncer is; installs Debian's package as root, else skips the test."""
    if found := _find():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        for words in ("update -q", "install -y -q --no-install-recommends pgbouncer"):
            subprocess.run(["apt-get", *words.split()], capture_output=True, env=QUIETLY, check=False)
        if found := _find():
            return found
    pytest.skip("pgbouncer is not installed, and cannot be by apt-get as root")


def _find() -> str | None:
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def pooled(server: Server, *, pool_size: int = 4) -> Iterator[Pooler]:
    """Start PgBouncer before a server, as the account that runs the server: it refuses root."""
    account = server_account(server.home / "data")
    folder = Path(tempfile.mkdtemp(prefix="pgq-bouncer-"))
    account.own(folder)
    folder.chmod(0o755)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    address = server.address
    settings = SETTINGS.format(host=address.host, port=address.port, own_port=port, pool_size=pool_size, folder=folder)
    (folder / "pgbouncer.ini").write_text(settings)
    running = subprocess.Popen(
        [program(), "-q", str(folder / "pgbouncer.ini")],
        user=account.uid if account.other else None,
        group=account.gid if account.other else None,
        extra_groups=[] if account.other else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    made = Pooler(server, port, folder / "pgbouncer.log")
    try:
        wait_until(lambda: _answers(made.dsn))
        yield made
    finally:
        running.kill()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, prepare_threshold=None, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
