# ruff: noqa: E501 - SQL and names of tests are told on one line
"""`why`: one test a gate. While it names a gate the claim passes the job by, and once the gate is lifted the claim has it."""

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Connect
from tests.sql.conftest import Refused
from tests.sql.engine import Conn, Lease, Worker, cancel, enqueue, enqueue_many, make_due, rescue, retry, scalar
from tests.sql.flows import drain, flow, run
from tests.sql.test_limits import limited, rule
from tests.sql.test_plans import STATES, buffers, sequential_scans
from tests.support.waiting import wait_until


def why(conn: Conn, job_id: int) -> dict[str, str]:
    rows = conn.execute("select gate, detail from pgqueue.why(%s)", (job_id,)).fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return dict(rows)


def gates(conn: Conn, job_id: int) -> list[str]:
    return [row[0] for row in conn.execute("select gate from pgqueue.why(%s)", (job_id,))]


def claimed(worker: Worker, job_id: int, **options: Any) -> bool:
    return job_id in worker.step(**options).ids


def told(conn: Conn, job_id: int, gate: str) -> str:
    """The sentence of the only gate that holds the job."""
    found = why(conn, job_id)
    assert list(found) == [gate]
    return found[gate]


def test_a_job_that_nothing_holds_back_is_ready_and_told_its_place(conn: Conn, worker: Worker) -> None:
    urgent, first = enqueue(conn, priority=-1), enqueue(conn)
    mine = enqueue(conn)
    enqueue(conn), enqueue(conn, queue="other"), enqueue(conn, delay="1 h", priority=-1)

    assert told(conn, mine, "ready") == (
        "nothing holds it back: it waits for a claim, and 2 jobs are before it in queue 'default'"
    )
    assert "no jobs are before it" in told(conn, urgent, "ready")
    assert "1 job is before it" in told(conn, first, "ready")
    assert worker.step(2).ids == [urgent, first]
    assert "no jobs are" in told(conn, mine, "ready")
    assert claimed(worker, mine)


def test_the_place_counts_waiting_as_priority_where_a_queue_ages(conn: Conn, worker: Worker) -> None:
    conn.execute("insert into pgqueue.queue_policies (queue, aging) values ('default', '1 minute')")
    old, young, urgent = (enqueue(conn, priority=p) for p in (10, 10, 0))
    conn.execute("update pgqueue.queued_jobs set run_at = now() - interval '11 minutes' where id = %s", (old,))

    for place, job_id in enumerate((old, urgent, young)):
        assert ("no jobs are", "1 job is", "2 jobs are")[place] in told(conn, job_id, "ready")
    assert [worker.step(1).ids[0] for _ in range(3)] == [old, urgent, young]


def test_a_long_queue_is_counted_up_to_ten_thousand(conn: Conn, worker: Worker) -> None:
    conn.execute(
        'select count(*) from pgqueue.enqueue_many((select jsonb_agg(\'{"task": "t"}\'::jsonb) from generate_series(1, 10050)))'
    )
    mine = enqueue(conn)

    assert "10000 jobs or more are before it" in told(conn, mine, "ready")


def test_a_job_due_later(conn: Conn, worker: Worker) -> None:
    later = enqueue(conn, delay="2 h 5 min")

    assert "it is due at 20" in told(conn, later, "due")
    assert f", in 2h5m; `pgq jobs retry {later}` makes it due now" in told(conn, later, "due")
    assert not claimed(worker, later)
    make_due(conn, later)
    assert list(why(conn, later)) == ["ready"]
    assert claimed(worker, later)


def test_a_retry_names_the_failure_it_waits_after_and_a_snooze_says_so(conn: Conn, worker: Worker) -> None:
    failed, snoozed = enqueue(conn), enqueue(conn)
    one, two = worker.claim()
    error = {"type": "ValueError", "message": "no"}
    worker.settle(one.outcome("failed", delay=300, error=error), two.outcome("snoozed", delay=300))

    assert told(conn, failed, "due").startswith("it waits for its retry after failure 1 (ValueError), due at ")
    assert told(conn, snoozed, "due").startswith("its handler has put it off until ")
    assert worker.claim() == []
    retry(conn, failed)
    assert list(why(conn, failed)) == ["ready"]
    assert claimed(worker, failed)


def test_a_running_job_names_its_worker_and_one_asked_to_stop_says_so(conn: Conn, worker: Worker) -> None:
    running = enqueue(conn)
    lease = worker.claim_one()

    assert f"attempt 1 runs on worker {worker.id} (host, pid 1) since 20" in told(conn, running, "running")
    assert not claimed(worker, running)
    cancel(conn, running)
    assert list(why(conn, running)) == ["cancel_requested", "running"]
    assert "its worker stops the handler" in why(conn, running)["cancel_requested"]
    worker.settle(lease.outcome("cancelled"))
    assert list(why(conn, running)) == ["finished"]


def test_a_lost_workers_job_waits_for_the_rescue_and_then_runs_alone(conn: Conn, worker: Worker) -> None:
    other = Worker(conn)
    job_id = enqueue(conn)
    other.claim_one()
    other.fall_silent()

    assert f"worker {other.id} (host, pid 1), which runs attempt 1, is silent since" in told(
        conn, job_id, "lost_worker"
    )
    assert not claimed(worker, job_id)
    worker.fall_silent()
    assert "but none is alive" in told(conn, job_id, "lost_worker")
    worker.beat()
    rescue(conn)
    assert "because it was there when a worker died (attempt 1, 20" in told(conn, job_id, "suspect")
    assert "taken down 0 workers so far while it ran alone, of 2 that" in told(conn, job_id, "suspect")
    assert not claimed(worker, job_id)
    assert [lease.id for lease in worker.claim_alone()] == [job_id]


def test_a_lost_worker_whose_handler_still_has_the_row_locked(conn: Conn, connect: Connect, worker: Worker) -> None:
    other, handler = Worker(conn), connect(autocommit=False)
    job_id = enqueue(conn)
    other.claim_one()
    handler.execute("select from pgqueue.queued_jobs where id = %s for update", (job_id,))
    other.lose()

    assert "was declared lost at" in told(conn, job_id, "lost_worker")
    handler.rollback()
    rescue(conn)
    assert list(why(conn, job_id)) == ["suspect"]


def test_finished_jobs_say_how_they_ended(conn: Conn, worker: Worker) -> None:
    good, bad, unwanted = (enqueue(conn) for _ in range(3))
    cancel(conn, unwanted)
    one, two = worker.claim()
    worker.settle(one.outcome("succeeded"), two.outcome("dead", error={"type": "KeyError", "message": "k"}))

    assert "it succeeded at 20" in told(conn, good, "finished")
    assert "after attempt 1 (KeyError): `pgq jobs show" in told(conn, bad, "finished")
    assert "(cancelled on request)" in told(conn, unwanted, "finished")
    assert worker.claim() == []
    retry(conn, bad), retry(conn, unwanted)
    assert [list(why(conn, i)) for i in (bad, unwanted)] == [["ready"]] * 2
    assert sorted(lease.id for lease in worker.claim()) == [bad, unwanted]


def test_an_unknown_job_is_refused(conn: Conn, refused: Refused) -> None:
    with refused("PQ001") as refusal:
        why(conn, 10**12)
    assert "there is no job 1000000000000" in refusal.message


def test_a_groups_turn_names_its_holder_and_the_place_in_line(conn: Conn, worker: Worker) -> None:
    first, second, third = enqueue_many(conn, [{"task": "t", "group_key": "g"}] * 3)
    assert [list(why(conn, i)) for i in (first, second, third)] == [["ready"], ["group"], ["group"]]
    assert "gives the turn to the first in its line; 1 job is before it" in told(conn, second, "group")
    lease = worker.claim_one()

    assert f"its turn is with job {first}, which runs on worker {worker.id} since" in told(conn, second, "group")
    assert "; no jobs are before it in the line; see `pgq why" in told(conn, second, "group")
    assert "1 job is before it" in told(conn, third, "group")
    late = enqueue(conn, group_key="g")
    assert "2 jobs are before it" in told(conn, late, "group")
    assert worker.claim() == []
    worker.settle(lease.outcome("failed", delay=60))
    assert f"with job {first}, which waits for its retry after failure 1 until 20" in told(conn, second, "group")
    assert list(why(conn, first)) == ["due"]
    assert worker.claim() == []
    make_due(conn, first)
    assert worker.step(outcomes=[worker.claim_one().outcome("succeeded")]).ids == [second]
    assert list(why(conn, third)) == ["group"]


def test_a_concurrency_limit_names_its_holders_and_the_place_in_line(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=2)
    ids = limited(conn, 5, {"api": "tenant"})
    one, _two = worker.claim()

    assert told(conn, ids[3], "limit") == (
        f"limit 'api' for key 'tenant': 2 of 2 permits are out, to job {ids[0]} (worker {worker.id}),"
        f" job {ids[1]} (worker {worker.id}); 1 job is before it in the line; it is called when permits come back, or when set_limit gives it more"
    )
    assert worker.claim() == []
    assert worker.step(done=[one]).ids == [ids[2]]
    assert "no jobs are before it" in told(conn, ids[3], "limit")


def test_a_line_with_free_permits_is_called_by_housekeeping(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    _first, second, third = limited(conn, 3)
    lease = worker.claim_one()
    assert worker.claim() == []
    worker.done(lease)
    cancel(conn, second)  # it had just been called

    assert "0 of 1 permits are out; no jobs are before it" in told(conn, third, "limit")
    assert told(conn, third, "limit").endswith("housekeeping calls the first in the line within seconds")
    assert worker.claim() == []
    assert scalar(conn, "select pgqueue.hand_on_idle()") == 1
    assert list(why(conn, third)) == ["ready"]
    assert claimed(worker, third)


def test_lines_that_nobody_serves_any_more_say_so_until_housekeeping_has_come(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    _first, second = limited(conn, 2)
    lease = worker.claim_one()
    assert worker.claim() == []
    conn.execute("insert into pgqueue.queue_policies (queue, fair) values ('default', true)")
    shared = enqueue(conn, fair_key="a")
    conn.execute(
        "update pgqueue.queue_policies set fair = false; update pgqueue.limit_rules set concurrency = null, rate = 1"
    )

    assert told(conn, second, "limit").endswith(
        "the limit does not count them any more, and lets its line go when one comes back"
    )
    assert told(conn, shared, "fair_share").endswith(
        "not share fairly any more, and housekeeping makes this job due within seconds"
    )
    assert worker.claim() == []
    worker.done(lease)
    assert scalar(conn, "select pgqueue.sweep_lines()") == 1
    assert [list(why(conn, i)) for i in (second, shared)] == [["ready"]] * 2
    assert sorted(lease.id for lease in worker.claim()) == [second, shared]


def test_a_dependency_names_the_parents_that_have_not_ended(conn: Conn, worker: Worker) -> None:
    before = enqueue(conn)
    first, second, child = flow(
        conn, {"name": "resize"}, {"delay": "1 h"}, {"after": [0, 1, {"id": before, "when": "ended"}]}
    )

    assert told(conn, child, "dependency") == (
        f"it waits for 3 of its 3 parents to end: job {first} (resize) waits to be claimed;"
        f" job {second} (t) {told_job(conn, second)}; job {before} (t) waits to be claimed"
    )
    assert list(why(conn, first)) == ["ready"]
    run(worker, first, before)
    assert told(conn, child, "dependency").startswith(
        f"it waits for 1 of its 3 parents to end: job {second} (t) waits until 20"
    )
    assert not claimed(worker, child)
    make_due(conn, second)
    run(worker, second)
    assert list(why(conn, child)) == ["ready"]
    assert claimed(worker, child)


def test_a_dead_parent_under_the_policy_wait_is_named_until_its_retry_succeeds(conn: Conn, worker: Worker) -> None:
    parent, child = flow(conn, {}, {"after": [0], "on_failure": "wait", "delay": "1 h"})
    assert f"job {parent} (t) waits to be claimed; then it is due at 20" in told(conn, child, "dependency")
    run(worker, parent, outcome="dead", error={"type": "E", "message": "no"})

    assert told(conn, child, "dependency").startswith(
        f"it waits until what failed before it is retried and succeeds (`pgq jobs retry`): job {parent} (t) is dead; then it is due at 20"
    )
    assert not claimed(worker, child)
    retry(conn, parent)
    assert f"job {parent} (t)" in told(conn, child, "dependency")
    assert "waits to be claimed; then it is due" in told(conn, child, "dependency")


def test_barriers_have_gates_too_and_wide_ones_name_the_first_of_their_parents(conn: Conn, worker: Worker) -> None:
    members = 150
    *ids, barrier, callback = flow(
        conn, *[{}] * members, {"barrier": True, "after": list(range(members))}, {"after": [members]}
    )
    assert told(conn, callback, "dependency") == (
        f"it waits for its one parent to end: barrier {barrier} waits for its own parents (`pgq why {barrier}`)"
    )
    assert told(conn, barrier, "dependency").startswith(
        f"it waits for 150 of its 150 parents to end: job {ids[0]} (t) waits"
    )
    assert told(conn, barrier, "dependency").endswith("; and so on")
    run(worker, *ids[:148])
    assert told(conn, barrier, "dependency").startswith(
        f"it waits for 2 of its 150 parents to end: job {ids[148]} (t) waits"
    )
    assert not claimed(Worker(conn, tasks=["none"]), callback)
    drain(worker)
    assert list(why(conn, callback)) == ["finished"]
    assert "it is a barrier of flow" in told(conn, barrier, "finished")
    assert "no job, and ended as succeeded at 20" in told(conn, barrier, "finished")


def told_job(conn: Conn, job_id: int) -> str:
    return str(scalar(conn, "select pgqueue.told_job(%s, clock_timestamp())", job_id))


def test_a_job_that_no_claim_has_looked_at_yet_sees_the_limit_before_it(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=3)
    limited(conn, 1, {"api": {"weight": 2}})
    lease = worker.claim_one()
    (heavy,) = limited(conn, 1, {"api": {"weight": 9}})

    assert told(conn, heavy, "limit").startswith("limit 'api' (weight 9): 2 of 3 permits are out, to job ")
    assert not claimed(worker, heavy)
    assert list(why(conn, heavy)) == ["limit"]
    assert worker.step(done=[lease]).ids == [heavy]


def test_a_rate_tells_its_budget_and_when_the_grant_comes(conn: Conn, worker: Worker) -> None:
    rule(conn, rate=2, per="1 min", burst=1)
    first, second, third = limited(conn, 3)

    assert worker.step().ids == [first]
    assert told(conn, second, "limit").startswith("limit 'api': 2 in 1m, 1 at once at the most, are granted, and that")
    assert (", in 30s;" in told(conn, second, "limit"), ", in 1m;" in told(conn, third, "limit")) == (True, True)
    late = limited(conn, 1)[0]
    assert ", in 1m30s;" in told(conn, late, "limit")
    assert worker.claim() == []
    assert ", in 1m30s;" in told(conn, late, "limit")
    conn.execute("update pgqueue.lanes set tat = tat - interval '30 s', slot = slot - interval '30 s'")
    conn.execute("update pgqueue.queued_jobs set run_at = run_at - interval '30 s' where run_at > now()")
    assert list(why(conn, second)) == ["ready"]
    assert worker.step().ids == [second]


def test_an_undefined_limit_and_several_limits_have_a_row_each(conn: Conn, worker: Worker) -> None:
    rule(conn, "b", concurrency=1)
    limited(conn, 1, "b")
    lease = worker.claim_one()
    (mine,) = limited(conn, 1, ["a", "b"])

    rows = [row[0] for row in conn.execute("select detail from pgqueue.why(%s) where gate = 'limit'", (mine,))]
    assert gates(conn, mine) == ["limit", "limit"]
    assert rows[0].startswith("limit 'a' is not defined, and holds all its jobs")
    assert rows[1].startswith("limit 'b': 1 of 1 permits")
    assert not claimed(worker, mine)
    assert gates(conn, mine) == ["limit", "limit"]  # dated a second later by the claim: that is no gate of its own
    rule(conn, "a", concurrency=1)
    assert gates(conn, mine) == ["limit", "due"] or gates(conn, mine) == ["limit"]
    worker.done(lease)
    wait_until(lambda: claimed(worker, mine))


def test_fair_shares_tell_the_place_in_the_line_of_the_key(conn: Conn, worker: Worker) -> None:
    conn.execute("insert into pgqueue.queue_policies (queue, fair) values ('default', true)")
    conn.execute("insert into pgqueue.fair_weights (queue, key, weight) values ('default', 'a', 2)")
    ids = enqueue_many(conn, [{"task": "t", "fair_key": "a"}] * 4)

    assert told(conn, ids[3], "fair_share") == (
        "queue 'default' deals its jobs out in shares, by the weights of their keys: in the line of key 'a' (weight 2)"
        " 3 jobs are before it, and no jobs of this key are dealt out and not claimed yet"
    )
    assert worker.step(1).ids == ids[:1]
    assert list(why(conn, ids[1])) == ["ready"]  # dealt
    assert "1 job is before it, and 1 job of this key is dealt" in told(conn, ids[3], "fair_share")
    assert worker.step(1).ids == ids[1:2]
    assert worker.step(2).ids == ids[2:]


def test_a_paused_queue(conn: Conn, worker: Worker) -> None:
    job_id, later = enqueue(conn), enqueue(conn, delay="1 h")
    conn.execute("select pgqueue.pause('default')")

    assert told(conn, job_id, "paused").startswith("queue 'default' is paused since 20")
    assert list(why(conn, later)) == ["due", "paused"]
    assert not claimed(worker, job_id)
    conn.execute("select pgqueue.resume('default')")
    assert list(why(conn, job_id)) == ["ready"]
    assert claimed(worker, job_id)


def test_no_living_worker_serves_the_queue(conn: Conn) -> None:
    job_id = enqueue(conn, queue="mail")
    assert told(conn, job_id, "no_worker") == "no worker is alive: start one with `pgq work APP -q mail`"
    other = Worker(conn)
    assert told(conn, job_id, "no_worker").startswith("the one living worker does not serve queue 'mail': start")
    assert not claimed(other, job_id)
    silent = Worker(conn, queues=["mail"])
    silent.fall_silent()
    assert told(conn, job_id, "no_worker").startswith("the one living worker does not")
    able = Worker(conn, queues=["mail"])
    assert list(why(conn, job_id)) == ["ready"]
    assert claimed(able, job_id, queue="mail")


def test_no_living_worker_has_registered_the_task(conn: Conn) -> None:
    first = Worker(conn, tasks=["shop.mail.Send", "shop.other"])
    job_id = enqueue(conn, task="mail.send")
    assert told(conn, job_id, "unknown_task") == (
        "the one living worker of queue 'default' has not registered task 'mail.send'; known there and alike: 'shop.mail.Send':"
        " deploy the code that has it, or correct the name where the job is enqueued"
    )
    assert not claimed(first, job_id)
    able = Worker(conn, tasks=["mail.send"])
    assert list(why(conn, job_id)) == ["ready"]
    assert claimed(able, job_id)


def test_all_workers_that_could_run_it_are_full(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    Worker(conn, tasks=["other"])
    scalar(conn, "select pgqueue.beat(%s, 10)", worker.id)

    assert told(conn, job_id, "workers_full").startswith(
        "all workers that could run it are full: 10 of 10 places taken in 1 process,"
    )
    assert not claimed(worker, job_id, max_jobs=0)  # what a full worker asks for
    scalar(conn, "select pgqueue.beat(%s, 9)", worker.id)
    assert list(why(conn, job_id)) == ["ready"]
    assert claimed(worker, job_id, max_jobs=1)


def test_an_expired_job_is_claimed_to_be_cancelled(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn, expires_at="2999-01-01T00:00:00Z")
    assert list(why(conn, job_id)) == ["ready"]
    conn.execute("update pgqueue.queued_jobs set expires_at = now() - interval '1 min'")

    assert list(why(conn, job_id)) == ["expired", "ready"]
    assert ", 1m ago: the worker that claims it cancels it" in why(conn, job_id)["expired"]
    lease = worker.claim_one()
    assert lease.row["expired"]
    worker.settle(lease.outcome("expired"))
    assert "(expired)" in told(conn, job_id, "finished")


def test_a_parked_job_in_no_line_is_told_as_what_should_not_be(conn: Conn, worker: Worker) -> None:
    job_id = enqueue(conn)
    conn.execute("update pgqueue.queued_jobs set run_at = 'infinity'")

    assert "stands in no line" in told(conn, job_id, "parked")
    assert not claimed(worker, job_id)
    cancel(conn, job_id)
    retry(conn, job_id)
    assert claimed(worker, job_id)


def test_several_gates_at_once_have_a_row_each(conn: Conn, worker: Worker) -> None:
    rule(conn, concurrency=1)
    enqueue(conn, group_key="g", limits='"api"')
    worker.claim_one()
    mine = enqueue(conn, task="gone", queue="default", group_key="g", limits='"api"', delay="1 h")
    conn.execute("select pgqueue.pause('default')")

    assert gates(conn, mine) == ["group", "limit", "due", "paused", "unknown_task"]


OPEN = {"ready", "expired", "cancel_requested"}


@pytest.mark.parametrize("seed", range(8))
def test_it_agrees_with_the_claim_whatever_has_happened(conn: Conn, seed: int) -> None:  # noqa: C901 - what may happen, in one place
    """Random jobs, outcomes and switches. No claim takes a job that a gate holds, and one is taken if nothing holds it."""
    dice = random.Random(seed)
    worker, gone = Worker(conn, lease="1 h"), Worker(conn, tasks=["u"], lease="1 h")
    rule(conn, "few", concurrency=2)
    rule(conn, "slow", rate=3, per="1 h", burst=3)
    running: list[Lease] = []
    seen: Counter[str] = Counter()

    def one_job() -> None:
        options: dict[str, Any] = {"priority": dice.choice([0, 0, 3])}
        if dice.random() < 0.4:
            options["group_key"] = dice.choice("ab")
        if dice.random() < 0.5:
            names = dice.sample(["few", "slow", "aa"], dice.choice([1, 1, 2]))
            options["limits"] = {
                name: {"key": dice.choice(["", "k"]), "weight": dice.choice([1, 1, 2])} for name in names
            }
        if dice.random() < 0.2:
            options["delay"] = "1 h"
        if dice.random() < 0.2:
            flow(conn, {"task": "t"}, {"after": [0], "on_failure": dice.choice(["cancel", "wait"]), **options})
        else:
            enqueue(conn, dice.choice("tttu"), **options)

    def end_one() -> None:
        if running:
            lease = running.pop(dice.randrange(len(running)))
            outcome = dice.choice(["succeeded", "succeeded", "failed", "dead", "snoozed", "released"])
            worker.settle(lease.outcome(outcome, delay=3600 if outcome in ("failed", "snoozed") else None))

    def switch() -> None:
        call = dice.choice(
            [
                "pgqueue.pause('default')",
                "pgqueue.resume('default')",
                "pgqueue.resume('default')",
                "pgqueue.hand_on_idle()",
            ]
        )
        conn.execute("select " + call)

    def move_one() -> None:
        waiting = conn.execute(
            "select id, run_at < 'infinity' from pgqueue.queued_jobs where worker_id is null order by id"
        ).fetchall()
        if waiting:
            job_id, dated = dice.choice(waiting)
            dice.choice([cancel, retry if dated else cancel])(conn, job_id)

    for _ in range(60):
        dice.choice([one_job, one_job, end_one, switch, move_one])()
        ids = [
            row[0] for row in conn.execute("select id from pgqueue.queued_jobs where task = 't' or worker_id is null")
        ]
        before = {job_id: set(gates(conn, job_id)) for job_id in ids}
        seen.update(gate for found in before.values() for gate in found)
        free = {job_id for job_id, found in before.items() if found <= OPEN}
        for taker in (worker, gone):
            taken = taker.step(dice.choice([1, 3, 50])).leases
            assert not {lease.id for lease in taken} - free, before
            if taker is worker:
                running += taken
                mine = [i for i in free if scalar(conn, "select task = 't' from pgqueue.queued_jobs where id = %s", i)]
                assert taken or not mine, before
            else:
                taker.done(*taken)
                break
            if taken:
                break  # what it took holds others back now: what was asked before says nothing of the next claim
    assert seen.keys() >= {"ready", "running", "due", "dependency"}, seen
    assert "parked" not in seen


@pytest.mark.parametrize("make", STATES, ids=[make.__name__ for make in STATES])
def test_it_scans_no_table_and_touches_few_pages_in_any_state(connect: Connect, make: Callable[[Conn], None]) -> None:
    """Ten thousand jobs before it are counted by index; a scan of a table would be seen."""
    conn = connect()
    conn.execute("set synchronous_commit = off")
    make(conn)
    rule(conn, concurrency=1)
    conn.execute("insert into pgqueue.queue_policies (queue, fair) values ('default', true)")
    ids = [enqueue(conn, group_key="g", limits='"api"', fair_key="f", priority=-9) for _ in range(3)]
    worker = Worker(conn)
    assert ids[0] in worker.step(1).ids + worker.step(20).ids
    ids += [enqueue(conn, priority=9), enqueue(conn, delay="1 h"), enqueue(conn, queue="other")]
    ids += flow(conn, *[{"priority": 50}] * 120, {"after": list(range(120))})[-2:]
    conn.execute("vacuum pgqueue.queued_jobs")
    before = sequential_scans(conn)
    reader = connect()

    for job_id in ids * 8:
        scalar(reader, "select count(*) from pgqueue.why(%s)", job_id)
    plans = [scalar(reader, "explain (analyze, buffers, format json) select * from pgqueue.why(%s)", i) for i in ids]
    reader.execute("select pg_stat_force_next_flush()")
    reader.close()

    grown = {
        name: scans - before.get(name, 0)
        for name, scans in sequential_scans(conn).items()
        if scans > before.get(name, 0)
    }
    assert grown == {}
    # Some hundred pages; up to 2,000 when an old snapshot kept the vacuum from marking them visible, 20,000 row by row.
    assert max(map(buffers, plans)) < 4000
