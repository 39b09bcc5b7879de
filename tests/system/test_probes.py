"""`pgq work --health-port --metrics-port`: the supervisor answers for its processes, above all when they cannot."""

import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg import sql

from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.system
Work = Callable[..., Fleet]
LOCALLY = ("--health-port", "0", "--metrics-port", "0", "--probe-host", "127.0.0.1")


def ask(fleet: Fleet, path: str) -> tuple[int, str]:
    """Status and text of an answer."""
    url = re.search(r"probes and metrics are answered url=(http\S+)/", fleet.said())
    assert url is not None, fleet.said()
    try:
        with urllib.request.urlopen(url[1] + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(fleet: Fleet, name: str, **labels: str) -> float:
    """The sum of the samples of this name with these labels."""
    families = text_string_to_metric_families(ask(fleet, "/metrics")[1])
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def test_one_port_answers_for_all_processes_until_they_drain(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work("--processes", "2", "--shutdown-timeout", "20", *LOCALLY)
    fleet.ready(2)
    the.put("hold.async")
    wait_until(lambda: ledger.read("alive"))
    wait_until(lambda: ask(fleet, "/healthz")[0] == 200)
    before = [ask(fleet, path) for path in ("/livez", "/readyz")]

    fleet.send(signal.SIGTERM)

    wait_until(lambda: ask(fleet, "/readyz")[0] == 503)
    assert [status for status, _ in before] == [200, 200]
    assert all(f"pid {pid}" in said for _, said in before for pid in fleet.workers())
    status, said = ask(fleet, "/livez")
    assert status == 200
    assert "claims nothing" in said


@pytest.mark.slow
def test_a_blocked_loop_is_told_while_it_is_blocked(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work("--lease", "6", *LOCALLY)
    fleet.ready()
    wait_until(lambda: ask(fleet, "/readyz")[0] == 200)

    the.put("block_once", '{"seconds": 4.5}')

    wait_until(lambda: "LOOP STANDS STILL" in ask(fleet, "/livez")[1])
    status, said = ask(fleet, "/livez")
    assert (status, "lease held" in said) == (503, True)
    assert metric(fleet, "pgqueue_worker_loop_silent_seconds") > 1.9
    assert metric(fleet, "pgqueue_worker_alive") == 0
    wait_until(lambda: ask(fleet, "/livez")[0] == 200, 20)


def test_a_loop_that_is_late_is_measured(work: Work, the: Jobs) -> None:
    fleet = work(*LOCALLY)
    fleet.ready()

    the.wait(the.put("block_once", '{"seconds": 0.6}'), "succeeded")

    wait_until(lambda: metric(fleet, "pgqueue_worker_loop_lag_seconds_sum") > 0.5)
    assert metric(fleet, "pgqueue_worker_alive") == 1


@pytest.mark.slow
def test_a_frozen_process_is_told_until_it_is_replaced(work: Work) -> None:
    fleet = work("--lease", "3", *LOCALLY)
    (pid,) = fleet.ready()
    wait_until(lambda: ask(fleet, "/readyz")[0] == 200)

    os.kill(pid, signal.SIGSTOP)

    wait_until(lambda: ask(fleet, "/livez")[0] == 503)
    assert ask(fleet, "/readyz")[0] == 503
    wait_until(lambda: ask(fleet, "/readyz")[0] == 200, 20)
    assert f"pid {pid}" not in ask(fleet, "/readyz")[1]
    assert metric(fleet, "pgqueue_worker_processes_started_total") >= 2


def test_a_database_that_is_away_takes_lease_and_readiness(
    work: Work, conn: psycopg.Connection[Any], databases: Any
) -> None:
    fleet = work("--lease", "2", *LOCALLY)
    fleet.ready()
    wait_until(lambda: ask(fleet, "/readyz")[0] == 200)
    database = sql.Identifier(conn.info.dbname)

    admin = psycopg.connect(databases.dsn("postgres"), autocommit=True)
    admin.execute(sql.SQL("alter database {} with allow_connections false").format(database))
    conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
                 " and datname = current_database()")  # fmt: skip

    wait_until(lambda: ask(fleet, "/livez")[0] == 503)
    assert "LEASE NOT HELD" in ask(fleet, "/livez")[1]
    assert ask(fleet, "/livez?exclude=lease")[0] == 200
    assert ask(fleet, "/readyz?exclude=lease")[0] == 503
    admin.execute(sql.SQL("alter database {} with allow_connections true").format(database))
    admin.close()
    wait_until(lambda: ask(fleet, "/healthz")[0] == 200)


def test_what_ended_processes_counted_is_kept(work: Work, the: Jobs) -> None:
    fleet = work("--processes", "2", *LOCALLY)
    fleet.ready(2)
    the.conn.execute("select pgqueue.enqueue('noop') from generate_series(1, 200)")
    failed = the.put("fail.async", '{"message": "no"}')
    the.wait(failed, "dead")
    wait_until(lambda: the.count("succeeded") == 200)
    wait_until(lambda: metric(fleet, "pgqueue_worker_attempts_total") == 203)

    fleet.send(signal.SIGHUP)

    wait_until(lambda: metric(fleet, "pgqueue_worker_processes_started_total") == 4, 20)
    wait_until(lambda: len(fleet.workers()) == 2)
    assert metric(fleet, "pgqueue_worker_attempts_total", task="noop", outcome="succeeded") == 200
    assert metric(fleet, "pgqueue_worker_attempts_total", task="fail.async", outcome="failed") == 2
    assert metric(fleet, "pgqueue_worker_attempts_total", task="fail.async", outcome="dead") == 1
    assert metric(fleet, "pgqueue_worker_run_seconds_count") == 203
    assert metric(fleet, "pgqueue_worker_wait_seconds_count", queue="default") == 203
    assert metric(fleet, "pgqueue_worker_claimed_jobs_total") == 203
    assert metric(fleet, "pgqueue_worker_settled_attempts_total") == 203
    wait_until(lambda: metric(fleet, "pgqueue_worker_slots") == 2 * 100)


def test_a_port_that_is_taken_is_usage(work: Work) -> None:
    first = work(*LOCALLY)
    first.ready()
    port = re.search(r"answered url=http://127.0.0.1:(\d+)/", first.said())
    assert port is not None

    second = work("--health-port", port[1], "--probe-host", "127.0.0.1")

    assert second.wait() == 2
    assert f"cannot listen on 127.0.0.1:{port[1]}" in second.said()
    assert "Traceback" not in second.said()
