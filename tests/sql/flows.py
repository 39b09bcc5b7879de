"""Flows as a client of plain SQL enqueues them, and what became of their nodes."""

import json
from typing import Any

from psycopg.rows import dict_row

from tests.sql.engine import Conn, Lease, Worker, scalar


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


def retry_flow(conn: Conn, flow_id: int) -> int:
    return int(scalar(conn, "select pgqueue.retry_flow(%s)", flow_id))


def cancel_flow(conn: Conn, flow_id: int) -> int:
    return int(scalar(conn, "select pgqueue.cancel_flow(%s)", flow_id))


def fold(conn: Conn) -> int:
    return int(scalar(conn, "select pgqueue.fold_nodes()"))


def sweep_flows(conn: Conn) -> int:
    return int(scalar(conn, "select pgqueue.sweep_flows()"))


def add_to_flow(conn: Conn, lease: Lease, *entries: dict[str, Any]) -> list[int]:
    jobs = [entry if "barrier" in entry else {"task": "t", **entry} for entry in entries]
    query = "select x from pgqueue.add_to_flow(%s, %s, %s::jsonb) x"
    return [row[0] for row in conn.execute(query, (lease.id, lease.token, json.dumps(jobs)))]


def flow_state(conn: Conn, flow_id: int) -> dict[str, Any]:
    """Return the one row of the view flows."""
    cursor = conn.cursor(row_factory=dict_row)
    (row,) = cursor.execute("select * from pgqueue.flows where id = %s", (flow_id,)).fetchall()
    return row


def barrier(*after: Any, **options: Any) -> dict[str, Any]:
    return {"barrier": True, "after": list(after), **options}


def ended(index: int) -> dict[str, Any]:
    return {"index": index, "when": "ended"}


def batch(members: int) -> list[dict[str, Any]]:
    """Members, their barrier, and three callbacks."""
    conditions = {"on_success": "succeeded", "on_done": "ended", "on_failed": "failed"}
    calls = [{"role": role, "after": [{"index": members, "when": when}]} for role, when in conditions.items()]
    return [{}] * members + [barrier(*map(ended, range(members)), verdict=True), *calls]


def saga(steps: int) -> list[dict[str, Any]]:
    """Steps one after the other, their end, and an undo for each."""
    entries: list[dict[str, Any]] = [{"role": "step", "after": [i - 1] if i else []} for i in range(steps)]
    entries.append(barrier(*map(ended, range(steps)), verdict=True))
    for i in range(steps):
        later = [{"index": steps + 2 + i, "when": "not_failed"}] if i < steps - 1 else []
        entries.append({"role": "undo", "after": [i, {"index": steps, "when": "failed"}, *later]})
    return entries


def moved(entries: list[dict[str, Any]], by: int) -> list[dict[str, Any]]:
    """Shift the places that entries name."""

    def shift(parent: Any) -> Any:
        return {**parent, "index": parent["index"] + by} if isinstance(parent, dict) else parent + by

    return [{**entry, "after": [shift(parent) for parent in entry.get("after", [])]} for entry in entries]


def nested_sagas(first: int, second: int) -> list[dict[str, Any]]:
    """A job and a saga after it, another saga, a batch's end over all of them, its callbacks, and a job after it."""
    entries: list[dict[str, Any]] = [{}, *moved(saga(first), 1), *moved(saga(second), 2 + 2 * first)]
    if first:
        entries[1]["after"] = [0]
    end = len(entries)
    exits = [place for place, entry in enumerate(entries) if entry.get("role") != "step"]
    entries.append(barrier(*map(ended, exits), verdict=True, gather=True))
    for role, when in (("on_success", "succeeded"), ("on_done", "ended"), ("on_failed", "failed")):
        entries.append({"role": role, "after": [{"index": end, "when": when}]})
    return [*entries, {"after": [end]}]
