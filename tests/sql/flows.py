# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Flows as a client of plain SQL enqueues them, and what became of their nodes."""

import json
from typing import Any

from tests.sql.engine import Conn, Worker, scalar


def flow(conn: Conn, *entries: dict[str, Any], kind: str = "dag", name: str | None = None) -> list[int]:
    """Enqueue a flow; entries without a task or barrier get the task `t`."""
    return flow_ids(conn, *entries, kind=kind, name=name)[1]


def flow_ids(conn: Conn, *entries: dict[str, Any], kind: str = "dag", name: str | None = None) -> tuple[int, list[int]]:
    """Enqueue a flow; return its id, and the ids of its entries."""
    jobs = [entry if "barrier" in entry else {"task": "t", **entry} for entry in entries]
    text = json.dumps({"kind": kind, "name": name, "jobs": jobs})
    row = conn.execute("select flow_id, ids from pgqueue.enqueue_flow(%s::jsonb)", (text,)).fetchone()
    assert row is not None
    return row[0], row[1]


def outcomes(conn: Conn, ids: list[int]) -> list[str | None]:
    """Return the outcomes of nodes, None for one that has not ended."""
    found = dict(conn.execute("select id, outcome from pgqueue.flow_nodes where id = any(%s)", (ids,)).fetchall())
    return [found[node] for node in ids]


def states(conn: Conn, ids: list[int]) -> list[str | None]:
    """Return the states of jobs, None for a barrier."""
    found = dict(conn.execute("select id, state from pgqueue.jobs where id = any(%s)", (ids,)).fetchall())
    return [found.get(node) for node in ids]


def run(worker: Worker, *ids: int, outcome: str = "succeeded", **fields: Any) -> None:
    """Claim what is due until these jobs are among it, and end them so; others are handed back."""
    leases = {lease.id: lease for lease in worker.claim(10_000)}
    others = [lease.outcome("released") for lease in leases.values() if lease.id not in ids]
    assert not set(ids) - set(leases), f"not to be claimed: {set(ids) - set(leases)}"
    stale = worker.settle(*others, *(leases[job].outcome(outcome, **fields) for job in ids))
    assert stale == []


def due(worker: Worker) -> list[int]:
    """Return what can be claimed now, and hand it back."""
    leases = worker.claim(10_000)
    worker.settle(*(lease.outcome("released") for lease in leases))
    return sorted(lease.id for lease in leases)


def drain(worker: Worker) -> int:
    """Let everything succeed; return how many did."""
    done = 0
    while leases := worker.claim(10_000):
        assert worker.settle(*(lease.outcome("succeeded") for lease in leases)) == []
        done += len(leases)
    return done


def counts(conn: Conn, node: int) -> dict[str, Any]:
    """Return a node's row."""
    return dict(scalar(conn, "select to_jsonb(n) from pgqueue.flow_nodes n where id = %s", node))
