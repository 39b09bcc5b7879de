# ruff: noqa: E501 - SQL is told on one line
"""Worlds in which jobs wait to be claimed, or to be enqueued."""

from datetime import UTC, datetime, timedelta

from tests.interleavings import moves
from tests.interleavings.moves import ROLLS_BACK, Conn, claim, enqueue, enqueue_many, reopen, sql, tx
from tests.interleavings.stage import Stage
from tests.interleavings.worlds.setting import RULE, Claimers, Moves, job
from tests.sql.engine import Worker, scalar


def waiting(stage: Stage) -> Moves:
    """Jobs wait: two of a group and a limit, the first with a key, and a plain one with another key."""
    conn = stage.conn
    conn.execute(RULE, ("l", None, None, 1))
    first, second = job(conn, key="k", group_key="g", limits={"l": ""}), job(conn, group_key="g", limits={"l": ""})
    plain = job(conn, key="n")
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "claim": claimers.script,
        "claim-and-fail": lambda n: claimers.script(n, then="failed"),
        "claim-series": lambda n: claimers.script(n, series=5),
        "claim-one": lambda n: claimers.script(n, max_jobs=1),
        "cancel": lambda _: tx("cancel", sql("select pgqueue.cancel(%s)", first)),
        "cancel-second": lambda _: tx("cancel the second", sql("select pgqueue.cancel(%s)", second)),
        "enqueue-plain": lambda _: tx("enqueue the plain one's key", enqueue(key="n")),
        "cancel-plain": lambda _: tx("cancel the plain one", sql("select pgqueue.cancel(%s)", plain)),
        "retry": lambda _: tx("retry", reopen(f"select pgqueue.retry({first})", first)),
        "enqueue-key": lambda _: tx("enqueue the key", enqueue(key="k")),
        "replace-key": lambda _: tx("replace the key", enqueue(key="k", key_policy="replace")),
        "replace-plain": lambda _: tx("replace the plain one", enqueue(key="n", key_policy="replace", delay="1 h")),
        "enqueue-new": lambda _: tx("enqueue a new key", enqueue(key="new")),
        "enqueue-new-rollback": lambda _: tx("enqueue a new key", enqueue(key="new"), end=ROLLS_BACK),
        "enqueue-behind": lambda _: tx("enqueue behind", enqueue(group_key="g", limits={"l": ""})),
        "enqueue-many": lambda _: tx("enqueue a b", enqueue_many({"key": "a"}, {"key": "new"}, {"key": "z"})),
        "enqueue-many-back": lambda _: tx("enqueue b a", enqueue_many({"key": "z"}, {"key": "new"}, {"key": "a"})),
        "replace-many": lambda _: tx(
            "replace k n", enqueue_many(*({"key": key, "key_policy": "replace"} for key in ("k", "n")))
        ),
        "replace-many-back": lambda _: tx(
            "replace n k", enqueue_many(*({"key": key, "key_policy": "replace"} for key in ("n", "k")))
        ),
        "set-limit": lambda _: tx("set the limit", sql("select pgqueue.set_limit('l', concurrency => 2)")),
        "drop-limit": lambda _: tx("set it anew", sql("select pgqueue.drop_limit('l')"), sql("select pgqueue.set_limit('l', concurrency => 3)")),
        "hand-on-idle": lambda _: tx("hand on", sql("select pgqueue.hand_on_idle()")),
        "pause": lambda _: tx("pause", sql("select pgqueue.pause('default')")),
        "resume": lambda _: tx("resume", sql("select pgqueue.resume('default')")),
    }  # fmt: skip


def lines(stage: Stage) -> Moves:
    """Two jobs of a group are due, two of a limit, and one in an hour; claims are of one kind each."""
    conn = stage.conn
    conn.execute(RULE, ("l", None, None, 1))
    one, two = (job(conn, group_key="g") for _ in range(2))
    three, four = (job(conn, queue="limited", limits={"l": ""}) for _ in range(2))
    job(conn, queue="later", delay="1 h")
    conn.execute("select pgqueue.make_lane('group', 'default', 'g'), pgqueue.make_lane('limit', 'l', '')")
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "claim-group": lambda n: claimers.script(n, max_jobs=1),
        "claim-group-and-settle": lambda n: claimers.script(n, max_jobs=1, then="succeeded"),
        "claim-limit": lambda n: claimers.script(n, max_jobs=1, queue="limited"),
        "claim-limit-and-settle": lambda n: claimers.script(n, max_jobs=1, queue="limited", then="succeeded"),
        "claim-later": lambda n: claimers.script(n, queue="later"),
        "cancel-group": lambda _: tx("cancel the first", sql("select pgqueue.cancel(%s)", one)),
        "cancel-group-next": lambda _: tx("cancel the second", sql("select pgqueue.cancel(%s)", two)),
        "cancel-limit": lambda _: tx("cancel the first", sql("select pgqueue.cancel(%s)", three)),
        "cancel-limit-next": lambda _: tx("cancel the second", sql("select pgqueue.cancel(%s)", four)),
    }


def rates(stage: Stage) -> Moves:
    """Three jobs share a rate of one now; nobody else is served for an hour."""
    conn = stage.conn
    conn.execute(RULE, ("r", 1, 1, None))
    first, *_ = [job(conn, limits={"r": ""}) for _ in range(3)]
    conn.execute("select pgqueue.make_lane('limit', 'r', '')")
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "claim": claimers.script,
        "claim-one": lambda n: claimers.script(n, max_jobs=1),
        "claim-and-hand-back": lambda n: claimers.script(n, then="released"),
        "claim-rollback": lambda n: tx("claim", claim(claimers.workers[n]), end=ROLLS_BACK),
        "cancel": lambda _: tx("cancel", sql("select pgqueue.cancel(%s)", first)),
        "enqueue": lambda _: tx("enqueue", enqueue(limits={"r": ""})),
        "set-limit": lambda _: tx("set the rate", sql("select pgqueue.set_limit('r', rate => 2, per => '2 h', burst => 1)")),
        "hand-on-idle": lambda _: tx("hand on", sql("select pgqueue.hand_on_idle()")),
    }  # fmt: skip


def schedules(stage: Stage) -> Moves:
    """A schedule is due."""
    conn = stage.conn
    conn.execute("select pgqueue.schedule('s', 't', every => '1 hour')")
    since, expected = conn.execute("select since, next_at from pgqueue.job_schedules").fetchall()[0]
    now = datetime.now(UTC).replace(microsecond=0)
    ticks, after = [now - timedelta(hours=2), now - timedelta(hours=1)], now + timedelta(hours=1)
    seen = (since, expected, ticks, after)
    tick = "select pgqueue.tick('s', %s, %s, %s::timestamptz[], %s)"
    claimers = Claimers([Worker(conn) for _ in range(3)])
    return {
        "tick": lambda _: tx("tick", sql(tick, *seen)),
        "tick-rollback": lambda _: tx("tick", sql(tick, *seen), end=ROLLS_BACK),
        "tick-late": lambda _: tx("tick what is there", _tick_anew(ticks, after)),
        "pause": lambda _: tx("pause", sql("select pgqueue.pause_schedule('s')")),
        "resume": lambda _: tx("resume", sql("select pgqueue.pause_schedule('s')"), sql("select pgqueue.resume_schedule('s')")),
        "change": lambda _: tx("change", sql("select pgqueue.schedule('s', 't', every => '2 hours')")),
        "unschedule": lambda _: tx("unschedule", sql("select pgqueue.unschedule('s')")),
        "failed": lambda _: tx("note an error", sql("select pgqueue.schedule_failed('s', %s, %s, 'no', '1 s')", since, expected)),
        "claim": claimers.script,
    }  # fmt: skip


def _tick_anew(ticks: list[datetime], after: datetime) -> moves.Call:
    """Read and tick in one transaction, the same times whatever it read: only the primary key is in the way."""

    def call(conn: Conn) -> None:
        rows = conn.execute("select since, next_at from pgqueue.job_schedules").fetchall()
        for since, expected in rows:
            scalar(conn, "select pgqueue.tick('s', %s, %s, %s::timestamptz[], %s)", since, expected, ticks, after)

    return call
