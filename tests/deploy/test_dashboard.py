"""The Grafana dashboard: what is committed is what the script makes, and each expression gives data."""

import json
import re
import runpy
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command import PGQ, environment
from tests.support.fixtures import ledger, the, work
from tests.support.fleet import Fleet
from tests.support.outcomes import Jobs
from tests.support.prometheus import free_port, scraping
from tests.support.waiting import wait_until

__all__ = ["ledger", "the", "work"]
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy/grafana/dashboard.py"
BOARD = ROOT / "deploy/grafana/pgqueue.json"
RULES = ROOT / "deploy/prometheus/pgqueue.rules.yml"
Work = Callable[..., Fleet]


def expressions() -> list[str]:
    """The expressions of the committed dashboard, as Grafana would send them with all queues chosen."""
    panels = json.loads(BOARD.read_text())["panels"]
    inner = [panel for row in panels for panel in [row, *row.get("panels", ())]]
    found = [target["expr"] for panel in inner for target in panel.get("targets", ())]
    return [one.replace("$queue", ".+").replace("$__rate_interval", "1m") for one in found]


def test_the_dashboard_is_what_the_script_makes() -> None:
    made: str = runpy.run_path(str(SCRIPT))["make"]()

    assert made == BOARD.read_text()
    assert len(expressions()) > 35


@pytest.fixture
def exporter(dsn: str, tmp_path: Path) -> Iterator[str]:
    """`pgq metrics` on the test's database: its host:port."""
    address = f"127.0.0.1:{free_port()}"
    with (tmp_path / "metrics.log").open("wb") as log:
        process = subprocess.Popen(
            [*PGQ, "metrics", "--listen", address],
            env=environment(PGQ_DSN=dsn), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    yield address
    process.terminate()
    assert process.wait(10) == 0, (tmp_path / "metrics.log").read_text()


def scraped(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def answering(address: str) -> bool:
    try:
        return "pgqueue_up 1" in scraped(address)
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(150)
def test_each_expression_gives_data_where_jobs_run(
    exporter: str, work: Work, the: Jobs, dsn: str, tmp_path: Path
) -> None:
    fleet = work("--processes", "2", "--metrics-port", "0", "--probe-host", "127.0.0.1")
    fleet.ready(2)
    port = re.search(r"answered url=http://127.0.0.1:(\d+)/", fleet.said())
    assert port is not None
    the.conn.execute("select pgqueue.schedule('nightly', 'noop', cron => '0 2 * * *')")
    wait_until(lambda: answering(exporter), 20, poll=0.2)
    with scraping(tmp_path, [exporter, f"127.0.0.1:{port[1]}"], RULES) as prometheus:

        def empty() -> list[str]:
            the.conn.execute("select pgqueue.enqueue('noop', queue => q) from unnest('{default,mail}'::text[]) q")
            the.put("fail.async", '{"message": "no"}')
            return [expression for expression in wanted if not prometheus.query(expression)]

        wanted = expressions()
        try:
            wait_until(lambda: not empty(), 100, poll=1.0)
        except AssertionError:
            pytest.fail(f"no data: {empty()}\n{scraped(exporter)}")
        wait_until(lambda: {"PgqueueNoWorker", "PgqueueDeadLettersGrowing"} <= prometheus.alerts(), 20, poll=0.5)
        up = prometheus.query("up")

    assert [series["value"][1] for series in up] == ["1", "1"]
