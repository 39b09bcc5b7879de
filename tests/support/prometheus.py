"""Prometheus itself, of Debian's package: rules are tested with promtool, expressions on a server that scrapes."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until

PROGRAMS = ("prometheus", "promtool")
QUIETLY = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
INSTALL = ("update -q", "install -y -q --no-install-recommends prometheus")
SETTINGS = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: pgqueue
    static_configs: [{{targets: [{targets}]}}]
"""


def program(name: str) -> str:
    """Where a program is; installs Debian's package as root, else skips the test."""
    with Path(tempfile.gettempdir(), "pgq-test-install-prometheus.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if shutil.which(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
            for words in INSTALL:
                subprocess.run(["apt-get", *words.split()], capture_output=True, env=QUIETLY, check=False)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, and cannot be by apt-get as root: Debian's package is prometheus")
    return found


def free_port() -> int:
    """A port that nobody listens on right now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


class Prometheus:
    """A running server."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now; an expression that cannot be read fails the test."""
        return list(self._get("/api/v1/query", query=expression)["result"])

    def alerts(self) -> set[str]:
        """The names of the alerts that fire or are about to."""
        return {alert["labels"]["alertname"] for alert in self._get("/api/v1/alerts")["alerts"]}

    def _get(self, path: str, **values: str) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"{self._url}{path}?{urllib.parse.urlencode(values)}", timeout=10) as answer:
                return dict(json.load(answer)["data"])
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{values}: {error.read().decode()}") from None


@contextmanager
def scraping(folder: Path, targets: Sequence[str], rules: Path) -> Iterator[Prometheus]:
    """Start a server that scrapes these host:port every second."""
    binary, port = program("prometheus"), free_port()
    config = folder / "prometheus.yml"
    config.write_text(SETTINGS.format(rules=rules, targets=", ".join(f'"{target}"' for target in targets)))
    words = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([binary, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        server = Prometheus(port)
        wait_until(lambda: server.ready() or process.poll() is not None, 20, poll=0.1)
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield server
    finally:
        process.kill()
        process.wait()
