"""Worlds in which a worker holds jobs."""

from tests.interleavings import moves
from tests.interleavings.moves import ROLLS_BACK, claim, enqueue, reopen, sql, tx
from tests.interleavings.runner import Step
from tests.interleavings.stage import Stage
from tests.interleavings.worlds.setting import RULE, Claimers, Moves, flow, held, job, link
from tests.sql.engine import Worker


def plain(stage: Stage) -> Moves:
    """A worker that has fallen silent holds one plain job; another job is due."""
    conn = stage.conn
    one = job(conn)
    silent = Worker(conn)
    mine = held(conn, silent, 1)[one]
    due = job(conn)
    silent.fall_silent()
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "settle": lambda _: tx("settle", moves.settle(silent, mine)),
        "settle-short": lambda _: tx("settle", moves.settle_short(silent, mine)),
        "fail": lambda _: tx("fail", moves.settle(silent, mine, outcome="failed", delay=0)),
        "hand-back": lambda _: tx("hand back", moves.settle(silent, mine, outcome="released")),
        "complete": lambda _: tx("complete", *moves.complete(mine)),
        "guard": lambda _: tx("guard", *moves.guard(silent, mine)),
        "claim-silent": lambda _: tx("claim", claim(silent)),
        "rescue": lambda _: tx("rescue", sql("select pgqueue.rescue()")),
        "reclaim": lambda n: claimers.script(n, then="succeeded", alone=True),
        "rescue-and-reclaim": lambda n: [
            *tx("rescue", sql("select pgqueue.rescue()")),
            *claimers.script(n, then="succeeded", alone=True),
        ],
        "hand-back-and-reclaim": lambda n: [
            *tx("hand back", moves.settle(silent, mine, outcome="released")),
            *claimers.script(n),
        ],
        "claim": lambda n: claimers.script(n, alone=True),
        "leave": lambda _: tx("leave", sql("select pgqueue.leave(%s)", silent.id)),
        "recover": lambda _: tx("recover", sql("select pgqueue.recover(%s, %s)", silent.id, mine.token)),
        "cancel": lambda _: tx("cancel", sql("select pgqueue.cancel(%s)", one)),
        "cancel-due": lambda _: tx("cancel the other", sql("select pgqueue.cancel(%s)", due)),
        "sweep-requests": lambda _: tx("sweep requests", sql("select pgqueue.sweep_cancel_requests()")),
        "cut-a": lambda _: [Step("cut A", cut="A")],
    }


def running(stage: Stage) -> Moves:
    """A worker that has fallen silent holds a job with a key, a group, a limit and a child; another waits behind it."""
    conn = stage.conn
    conn.execute(RULE, ("l", None, None, 1))
    flow_id, (one, two, child) = flow(
        conn, {"key": "k", "group_key": "g", "limits": "l"}, {}, {"after": [0, {"index": 1, "when": "ended"}]}
    )
    silent = Worker(conn)
    leases = held(conn, silent)
    mine, other = leases[one], leases[two]
    behind = job(conn, group_key="g", limits={"l": ""})
    silent.fall_silent()
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "settle": lambda _: tx("settle", moves.settle(silent, mine)),
        "settle-both": lambda _: tx("settle both", moves.settle_short(silent, mine, other)),
        "settle-other": lambda _: tx("settle the other parent", moves.settle(silent, other, outcome="dead")),
        "fail": lambda _: tx("fail", moves.settle(silent, mine, outcome="failed", delay=0)),
        "die": lambda _: tx("die", moves.settle(silent, mine, outcome="dead")),
        "hand-back": lambda _: tx("hand back", moves.settle(silent, mine, other, outcome="released")),
        "complete": lambda _: tx("complete", *moves.complete(mine)),
        "complete-and-fail": lambda _: tx("complete", *moves.complete(mine), end=ROLLS_BACK),
        "rescue": lambda _: tx("rescue", sql("select pgqueue.rescue()")),
        "claim": lambda n: claimers.script(n, alone=True),
        "claim-series": lambda n: claimers.script(n, series=5),
        "leave": lambda _: tx("leave", sql("select pgqueue.leave(%s)", silent.id)),
        "recover": lambda _: tx("recover", sql("select pgqueue.recover(%s, %s)", silent.id, mine.token)),
        "beat": lambda _: tx("beat", sql("select pgqueue.beat(%s, 1)", silent.id)),
        "cancel": lambda _: tx("cancel", sql("select pgqueue.cancel(%s)", one)),
        "cancel-behind": lambda _: tx("cancel the one behind", sql("select pgqueue.cancel(%s)", behind)),
        "cancel-child": lambda _: tx("cancel the child", sql("select pgqueue.cancel(%s)", child)),
        "cancel-flow": lambda _: tx("cancel the flow", sql("select pgqueue.cancel_flow(%s)", flow_id)),
        "sweep-requests": lambda _: tx("sweep requests", sql("select pgqueue.sweep_cancel_requests()")),
        "retry": lambda _: tx("retry", reopen(f"select pgqueue.retry({one})", one)),
        "enqueue-key": lambda _: tx("enqueue the key", enqueue(key="k")),
        "replace-key": lambda _: tx("replace the key", enqueue(key="k", key_policy="replace")),
        "enqueue-behind": lambda _: tx("enqueue behind", enqueue(group_key="g", limits={"l": ""})),
        "add-child": lambda _: tx("link to it", link(one)),
        "remove": lambda _: tx("remove", moves.remove(one)),
        "set-limit": lambda _: tx("set the limit", sql("select pgqueue.set_limit('l', concurrency => 2)")),
        "hand-on-idle": lambda _: tx("hand on", sql("select pgqueue.hand_on_idle()")),
        "pause": lambda _: tx("pause", sql("select pgqueue.pause('default')")),
    }
