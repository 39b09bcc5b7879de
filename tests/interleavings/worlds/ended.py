# ruff: noqa: E501 - SQL is told on one line
"""Worlds in which jobs have ended, or are the last to end before others begin."""

import json

from tests.interleavings import moves
from tests.interleavings.moves import ROLLS_BACK, Conn, enqueue, enqueue_many, reopen, sql, tx
from tests.interleavings.stage import Stage
from tests.interleavings.worlds.setting import Claimers, Moves, flow, held, job, link
from tests.sql.engine import Lease, Worker


def dead(stage: Stage) -> Moves:
    """A dead job has lost its key, a cancelled one too; a dead one of a flow has a child that waits for its retry."""
    conn = stage.conn
    letter, other, gone = job(conn, key="k"), job(conn, key="o"), job(conn, key="c")
    flow_id, (parent, second, _) = flow(conn, {}, {}, {"after": [0, 1], "on_failure": "wait"})
    worker = Worker(conn)
    leases = held(conn, worker)
    died = (leases[letter], leases[other], leases[parent])
    moves.settle(worker, *died, outcome="dead")(conn)
    moves.settle(worker, leases[gone], outcome="cancelled")(conn)
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "retry": lambda _: tx("retry", reopen(f"select pgqueue.retry({letter})", letter)),
        "retry-cancelled": lambda _: tx("retry the cancelled one", reopen(f"select pgqueue.retry({gone})", gone)),
        "retry-parent": lambda _: tx("retry the parent", reopen(f"select pgqueue.retry({parent})", parent)),
        "retry-flow": lambda _: tx("retry the flow", reopen(f"select pgqueue.retry_flow({flow_id})", parent)),
        "redrive": lambda _: tx("redrive", reopen("select pgqueue.redrive()", letter, other, parent)),
        "redrive-rollback": lambda _: tx("redrive", sql("select pgqueue.redrive()"), end=ROLLS_BACK),
        "enqueue-key": lambda _: tx("enqueue the key", enqueue(key="k")),
        "enqueue-many": lambda _: tx("enqueue o k c", enqueue_many({"key": "o"}, {"key": "k"}, {"key": "c"})),
        "remove": lambda _: tx("remove", moves.remove(letter)),
        "remove-cancelled": lambda _: tx("remove the cancelled one", moves.remove(gone)),
        "cancel": lambda _: tx("cancel", sql("select pgqueue.cancel(%s)", letter)),
        "cancel-flow": lambda _: tx("cancel the flow", sql("select pgqueue.cancel_flow(%s)", flow_id)),
        "settle-second": lambda _: tx("settle the other parent", moves.settle(worker, leases[second])),
        "claim": claimers.script,
    }


def barriers(stage: Stage, *, gather: bool = False) -> Moves:
    """Both last members of a batch run; its barrier and its callbacks wait for them."""
    conn = stage.conn
    flow_id, (one, two, *_) = flow(
        conn, {}, {},
        {"barrier": True, "verdict": True, "gather": gather, "after": [{"index": 0, "when": "ended"}, {"index": 1, "when": "ended"}]},
        {"role": "on_success", "after": [2]},
        {"role": "on_done", "after": [{"index": 2, "when": "ended"}]},
        {"role": "on_failed", "after": [{"index": 2, "when": "failed"}]},
        {"after": [0, 1], "gather": gather},
        kind="batch",
    )  # fmt: skip
    worker = Worker(conn)
    leases = held(conn, worker)
    worker.fall_silent()
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "settle-one": lambda _: tx("settle one", moves.settle(worker, leases[one])),
        "settle-two": lambda _: tx("settle two", moves.settle(worker, leases[two])),
        "settle-two-rollback": lambda _: tx("settle two", moves.settle(worker, leases[two]), end=ROLLS_BACK),
        "one-dies": lambda _: tx("one dies", moves.settle(worker, leases[one], outcome="dead")),
        "two-dies": lambda _: tx("two dies", moves.settle(worker, leases[two], outcome="dead")),
        "complete-one": lambda _: tx("complete one", *moves.complete(leases[one])),
        "add-to-flow": lambda _: tx("one adds a job", _add(leases[one])),
        "link": lambda _: tx("link to one", link(one)),
        "cancel-flow": lambda _: tx("cancel the flow", sql("select pgqueue.cancel_flow(%s)", flow_id)),
        "cancel-one": lambda _: tx("cancel one", sql("select pgqueue.cancel(%s)", one)),
        "retry-flow": lambda _: tx("retry the flow", reopen(f"select pgqueue.retry_flow({flow_id})", one, two)),
        "retry-one": lambda _: tx("retry one", reopen(f"select pgqueue.retry({one})", one)),
        "rescue": lambda _: tx("rescue", sql("select pgqueue.rescue()")),
        "fold": lambda _: tx("fold", sql("select pgqueue.fold_nodes()")),
        "claim": claimers.script,
    }


def gathering(stage: Stage) -> Moves:
    """The same with children that nobody waits for: who finds their row locked leaves a delta."""
    return barriers(stage, gather=True)


def _add(lease: Lease) -> moves.Call:
    def call(conn: Conn) -> None:
        query = "select x from pgqueue.add_to_flow(%s, %s, %s::jsonb) x"
        for (made,) in conn.execute(query, (lease.id, lease.token, json.dumps([{"task": "t"}]))).fetchall():
            moves.note_made(conn, made)

    return call
