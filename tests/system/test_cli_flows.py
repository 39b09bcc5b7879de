"""`pgq flows`, `pgq limits` and what `pgq queues` says about shares, run as people and scripts run them."""

import json
import re
from typing import Any

import psycopg
import pytest

from tests.support.command import pgq

pytestmark = pytest.mark.system
Conn = psycopg.Connection[Any]


@pytest.fixture
def flow(conn: Conn) -> tuple[int, list[int]]:
    """A chain of two, named sums."""
    jobs = [{"task": "add", "name": "first"}, {"task": "add", "after": [0]}]
    given = json.dumps({"kind": "chain", "name": "sums", "jobs": jobs})
    ((flow_id, ids),) = conn.execute("select * from pgqueue.enqueue_flow(%s)", [given]).fetchall()
    return flow_id, ids


def test_a_search_for_flows_that_ends_early_says_so_and_where_to_go_on(dsn: str, conn: Any) -> None:
    into = "insert into pgqueue.job_flows (id, kind, created_at, cancelled_at)"
    conn.execute(f"{into} select i, 'batch', now(), case i when 1 then now() end from generate_series(1, 3101) i")

    first = pgq("flows", "ls", "--state", "cancelled", "--json", PGQ_DSN=dsn)
    on = re.findall(r"there may be more; go on with --before (\d+)", first.err)
    found = pgq("flows", "ls", "--state", "cancelled", "--before", *on, "--json", PGQ_DSN=dsn)
    page = pgq("flows", "ls", "--limit", "2", "--json", PGQ_DSN=dsn)

    assert (first.json, on) == ([], ["102"])
    assert ([flow["id"] for flow in found.json], found.err) == ([1], "")
    assert ([flow["id"] for flow in page.json], page.err) == ([3101, 3100], "")


def test_flows_are_listed_and_shown(dsn: str, flow: tuple[int, list[int]]) -> None:
    flow_id, (first, second) = flow

    listed = pgq("flows", "ls", "--json", PGQ_DSN=dsn).json
    none = pgq("flows", "ls", "--state", "failed", "--json", PGQ_DSN=dsn).json
    shown = pgq("flows", "show", str(flow_id), "--json", PGQ_DSN=dsn).json
    told = pgq("flows", "show", str(flow_id), PGQ_DSN=dsn).out

    assert [(row["id"], row["kind"], row["name"], row["state"], row["total"]) for row in listed] == [
        (flow_id, "chain", "sums", "running", 2)
    ]
    assert none == []
    assert [(job["id"], job["name"], job["state"], job["after"]) for job in shown["jobs"]] == [
        (first, "first", "ready", []),
        (second, None, "blocked", [first]),
    ]
    assert told.splitlines()[-1].split() == [str(second), "-", "member", "add", "blocked", str(first)]


def test_jobs_that_wait_for_others_are_listed(dsn: str, flow: tuple[int, list[int]]) -> None:
    _, (first, second) = flow

    every = pgq("jobs", "ls", "--json", PGQ_DSN=dsn).json
    blocked = pgq("jobs", "ls", "--state", "blocked", PGQ_DSN=dsn)
    scheduled = pgq("jobs", "ls", "--state", "scheduled", "--json", PGQ_DSN=dsn).json

    assert [(job["id"], job["state"], job["run_at"] is None) for job in every] == [
        (second, "blocked", True),
        (first, "ready", False),
    ]
    assert blocked.out.splitlines()[1].split()[:3] == [str(second), "blocked", "add"]
    assert scheduled == []


def test_flows_are_cancelled_and_retried(dsn: str, flow: tuple[int, list[int]]) -> None:
    flow_id, _ = flow

    cancelled = pgq("flows", "cancel", str(flow_id), "--json", PGQ_DSN=dsn).json
    retried = pgq("flows", "retry", str(flow_id), PGQ_DSN=dsn)
    unknown = pgq("flows", "show", "999999", PGQ_DSN=dsn)
    mistaken = pgq("flows", "ls", "--state", "odd", PGQ_DSN=dsn)

    assert cancelled == {"flow": flow_id, "cancelled": 2}
    assert (retried.status, retried.out) == (0, f"flow {flow_id}: 2 jobs retried\n")
    assert (unknown.status, "there is no flow 999999" in unknown.err) == (1, True)
    assert (mistaken.status, "the states are running" in mistaken.err) == (2, True)


def test_limits_are_set_listed_and_removed(dsn: str, conn: Conn) -> None:
    made = pgq("limits", "set", "stripe", "--rate", "50", "--per", "1m", "--burst", "5", PGQ_DSN=dsn)
    again = pgq("limits", "set", "stripe", "--rate", "50", "--per", "1m", "--burst", "5", "--json", PGQ_DSN=dsn).json
    refused = pgq("limits", "set", "stripe", PGQ_DSN=dsn)
    huge = pgq("limits", "set", "stripe", "--concurrency", "99999999999", PGQ_DSN=dsn)
    told = pgq("limits", "ls", PGQ_DSN=dsn).out
    shown = pgq("limits", "ls", "stripe", "--json", PGQ_DSN=dsn).json
    unknown = pgq("limits", "rm", "strip", PGQ_DSN=dsn)
    removed = pgq("limits", "rm", "stripe", PGQ_DSN=dsn)

    assert (made.status, made.out) == (0, 'limit "stripe" was created\n')
    assert again == {"limit": "stripe", "verdict": "unchanged"}
    assert (refused.status, "give a rate or a concurrency" in refused.err) == (2, True)
    assert (huge.status, huge.err) == (2, "pgq: concurrency: 99999999999 is too large a number\n")
    assert "50 per 1m" in told
    assert (shown["limits"][0]["per"], shown["limits"][0]["burst"], shown["holders"]) == (60, 5, [])
    assert (unknown.status, unknown.err) == (1, 'pgq: there is no limit "strip"; there are: stripe\n')
    assert removed.status == 0
    assert conn.execute("select count(*) from pgqueue.limit_rules").fetchone() == (0,)


def test_a_queue_is_made_fair_and_shared(dsn: str, conn: Conn) -> None:
    fair = pgq("queues", "set", "mail", "--fair", "--aging", "5m", PGQ_DSN=dsn)
    bound = pgq("queues", "set", "mail", "--max-depth", "9", PGQ_DSN=dsn)
    aged = pgq("queues", "set", "mail", "--aging", "0", "--json", PGQ_DSN=dsn).json
    share = pgq("queues", "share", "mail", "acme", "3", PGQ_DSN=dsn)
    again = pgq("queues", "share", "mail", "acme", "3", "--json", PGQ_DSN=dsn).json
    nothing = pgq("queues", "set", "mail", PGQ_DSN=dsn)

    assert (fair.status, fair.out) == (0, 'queue "mail" is fair, aging 5m, any number of jobs\n')
    assert bound.out == 'queue "mail" is fair, aging 5m, at most 9 jobs\n'
    assert aged == {"queue": "mail", "fair": True, "aging": None, "max_depth": 9, "changed": True}
    assert share.out == 'key "acme" of queue "mail" now has weight 3\n'
    assert not again["changed"]
    assert (nothing.status, "--fair, --no-fair, --aging or --max-depth" in nothing.err) == (2, True)
    assert conn.execute("select key, weight from pgqueue.fair_weights").fetchall() == [("acme", 3)]
