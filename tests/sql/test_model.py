# ruff: noqa: E501 - SQL and names of tests are told on one line
"""The state model: random histories in the database and in a model in memory, compared after every step.

The model knows nothing of SQL. What it leaves out is the order of due times, which it reads from the database; whether
a job is due it knows itself. Hypothesis shrinks a divergence to the shortest history that shows it.
"""

from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import Connect
from tests.sql.engine import Conn, Lease, Worker, cancel, enqueue, make_due, redrive, rescue, retry, scalar, sweep

MAX_LOSSES = 2
WORKERS = st.integers(0, 2)
PICK = st.integers(0, 10**6)
KEYS = st.sampled_from([None, None, "a", "b"])
OUTCOMES = st.sampled_from(
    ["done", "succeeded", "failed", "failed", "dead", "cancelled", "expired", "snoozed", "released", "lost"]
)


@dataclass(slots=True)
class Model:
    """One job as it should be."""

    id: int
    key: str | None
    priority: int
    due: bool
    state: str = "waiting"
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    suspect: bool = False
    alone: bool = False
    asked: bool = False
    token: int | None = None
    worker: int | None = None
    history: list[tuple[int, str]] = field(default_factory=list)

    @property
    def unfinished(self) -> bool:
        return self.state in ("waiting", "running")

    def shown(self) -> tuple[Any, ...]:
        state = self.state if self.state != "waiting" else "ready" if self.due else "scheduled"
        return (self.id, state, self.attempt, self.failures, self.losses, self.key, self.priority)


@dataclass(slots=True)
class Hold:
    """Who has a key, and whether for a period."""

    job: Model
    period: bool = False
    over: bool = False

    @property
    def holds(self) -> bool:
        return self.job.unfinished or (self.period and not self.over)


class Machine(RuleBasedStateMachine):
    """Random verbs on one queue, three workers that come and go, and zombies."""

    conn: Conn

    @initialize()
    def begin(self) -> None:
        names = (
            "queued_jobs",
            "dead_jobs",
            "finished_jobs",
            "job_attempts",
            "job_args",
            "job_keys",
            "worker_processes",
        )
        for name in (*names, "cancel_requests", "job_progress", "paused_queues"):
            self.conn.execute(f"delete from pgqueue.{name}")  # truncating 30 partitions costs 20 times as much
        self.jobs: dict[int, Model] = {}
        self.keys: dict[str, Hold] = {}
        self.leases: list[tuple[Lease, Worker]] = []
        self.workers = [Worker(self.conn) for _ in range(3)]
        self.left = 0  # requests of jobs that succeeded the short way: swept later
        for key in (None, "a", None, "b"):  # without these most histories end before anything has run
            self.enqueue(key, later=False, priority=0, policy="skip", period=False)

    # What the model does.

    def free_key(self, job: Model) -> None:
        hold = self.keys.get(job.key or "")
        if hold and hold.job is job and (job.state == "dead" or not hold.period or hold.over):
            del self.keys[job.key or ""]

    def take_key(self, job: Model) -> Model | None:
        """Give a key to a job, or return who has it."""
        if job.key is None:
            return None
        hold = self.keys.get(job.key)
        if hold and hold.holds:
            return hold.job
        self.keys[job.key] = Hold(job)
        return None

    def end_attempt(self, job: Model, outcome: str, due: bool | None = None, certain: bool = False) -> None:
        alone = outcome == "lost" and (job.alone or certain)
        if job.asked and outcome in ("failed", "dead", "snoozed", "released", "lost"):
            outcome = "cancelled"
        elif alone and job.losses + 1 >= MAX_LOSSES:
            outcome = "dead"
        if outcome != "expired":
            job.history.append((job.attempt, outcome))
        if outcome in ("succeeded", "cancelled", "expired", "dead"):
            job.state = "cancelled" if outcome == "expired" else outcome
            job.asked = False
            if outcome == "dead":
                job.failures += not alone
                job.losses += alone
                job.suspect = job.suspect or alone
            self.free_key(job)
        else:
            job.state = "waiting"
            job.due = job.due if due is None else due
            job.failures += outcome == "failed"
            job.losses += alone
            job.suspect = job.suspect or outcome == "lost"
        job.token = job.worker = None
        job.alone = False

    def requeue(self, job: Model) -> None:
        job.state, job.due, job.failures, job.losses, job.asked = "waiting", True, 0, 0, False

    def leased(self, lease: Lease, worker: Worker, *, alone: bool = False) -> None:
        job = self.jobs[lease.id]
        assert (job.state, job.due, job.suspect) == ("waiting", True, alone)
        job.state, job.attempt, job.token, job.worker, job.alone = (
            "running",
            job.attempt + 1,
            lease.token,
            worker.id,
            alone,
        )
        assert lease.attempt == job.attempt
        self.leases.append((lease, worker))

    def some(self, pick: int) -> Model:
        return list(self.jobs.values())[pick % len(self.jobs)]

    def claimable(self, *, suspect: bool) -> list[int]:
        ids = [job.id for job in self.jobs.values() if job.state == "waiting" and job.due and job.suspect is suspect]
        query = "select id from pgqueue.queued_jobs where id = any(%s) order by priority, run_at, id"
        return [row[0] for row in self.conn.execute(query, (ids,))]

    # What is done to both.

    @rule(
        key=KEYS,
        later=st.sampled_from([False, False, True]),
        priority=st.integers(-1, 1),
        policy=st.sampled_from(["skip", "replace", "raise"]),
        period=st.booleans(),
    )
    def enqueue(self, key: str | None, later: bool, priority: int, policy: str, period: bool) -> None:
        options: dict[str, Any] = {
            "priority": priority,
            "key": key,
            "key_policy": policy,
            "delay": "5 hours" if later else None,
        }
        if key and period:
            options["key_period"] = "1 hour"
        job = Model(0, key, priority, not later)
        holder = self.take_key(job)
        if holder and policy == "raise":
            with pytest.raises(psycopg.Error) as raised:
                enqueue(self.conn, **options)
            assert (raised.value.sqlstate, raised.value.diag.message_hint) == ("PQ002", str(holder.id))
            return
        job.id = enqueue(self.conn, **options)
        if holder:
            assert job.id == holder.id
            if policy == "replace" and holder.state == "waiting":
                holder.priority, holder.due = priority, not later
            return
        assert job.id not in self.jobs
        self.jobs[job.id] = job
        if key:
            self.keys[key].period = period

    @rule(who=WORKERS, limit=st.integers(1, 4))
    def claim(self, who: int, limit: int) -> None:
        expected = self.claimable(suspect=False)[:limit]
        leases = self.workers[who].claim(limit)
        assert [lease.id for lease in leases] == expected
        for lease in leases:
            self.leased(lease, self.workers[who])

    @rule(who=WORKERS)
    def claim_alone(self, who: int) -> None:
        expected = self.claimable(suspect=True)[:1]
        leases = self.workers[who].claim_alone()
        assert [lease.id for lease in leases] == expected
        for lease in leases:
            self.leased(lease, self.workers[who], alone=True)

    @precondition(lambda self: self.leases)
    @rule(
        picks=st.lists(PICK, min_size=1, max_size=3),
        outcome=OUTCOMES,
        later=st.sampled_from([None, True, False]),
        certain=st.booleans(),
    )
    def settle(self, picks: list[int], outcome: str, later: bool | None, certain: bool) -> None:
        """Leases of long ago are among them: zombies."""
        chosen = {self.leases[pick % len(self.leases)][0] for pick in picks}
        settled = {lease.id for lease in chosen if self.jobs[lease.id].token == lease.token}
        stale = {
            lease.id for lease in chosen
        } - settled  # an id whose other lease settles in the same batch is not told
        for lease in chosen:
            job = self.jobs[lease.id]
            if job.token != lease.token:
                continue
            self.left += job.asked and outcome == "done"
            delayed = later is not None and outcome in ("failed", "snoozed", "released", "lost")
            self.end_attempt(
                job, "succeeded" if outcome == "done" else outcome, not later if delayed else None, certain
            )
        worker = self.workers[0]
        if outcome == "done":
            assert set(worker.done(*chosen)) == stale
        else:
            fields: dict[str, Any] = {"alone": certain} | ({} if later is None else {"delay": 18000 if later else 0})
            assert set(worker.settle(*(lease.outcome(outcome, **fields) for lease in chosen))) == stale

    @rule(who=WORKERS, outcome=OUTCOMES)
    def attempt(self, who: int, outcome: str) -> None:
        """The ordinary life: claimed and settled at once."""
        before = len(self.leases)
        self.claim(who, 1)
        self.claim_alone(who)
        while len(self.leases) > before:
            self.settle([len(self.leases) - 1], outcome, later=False, certain=False)
            del self.leases[-1]

    @rule(who=WORKERS, leaves=st.booleans())
    def end_worker(self, who: int, leaves: bool) -> None:
        worker = self.workers[who]
        held = [job for job in self.jobs.values() if job.worker == worker.id]
        if leaves:
            assert worker.leave() == len(held)
        else:
            worker.fall_silent()
            assert [(row["worker_id"], row["jobs"]) for row in rescue(self.conn)] == [(worker.id, len(held))]
        for job in held:
            self.end_attempt(job, "released" if leaves else "lost")
        assert worker.beat() is None
        assert worker.step().lost is True
        self.workers[who] = Worker(self.conn)

    @rule(who=WORKERS)
    def beat(self, who: int) -> None:
        asked = {job.id for job in self.jobs.values() if job.worker == self.workers[who].id and job.asked}
        assert set(self.workers[who].beat() or []) == asked

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        job = self.some(pick)
        assert cancel(self.conn, job.id) == job.shown()[1]
        if job.state == "running":
            job.asked = True
        elif job.state == "waiting":
            job.state = "cancelled"
            self.free_key(job)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        job = self.some(pick)
        holder = self.keys.get(job.key or "")
        refusal = None
        if job.state in ("running", "succeeded"):
            refusal = "PQ003"
        elif not job.unfinished and holder and holder.holds and holder.job is not job:
            refusal = "PQ002"
        if refusal:
            with pytest.raises(psycopg.Error) as raised:
                retry(self.conn, job.id)
            assert raised.value.sqlstate == refusal
            return
        assert retry(self.conn, job.id) == job.id
        if not job.unfinished:
            self.take_key(job)
        self.requeue(job)

    @rule(limit=st.sampled_from([None, 1, 2]))
    def redrive(self, limit: int | None) -> None:
        dead = sorted((job for job in self.jobs.values() if job.state == "dead"), key=lambda job: job.id)
        free = [job for job in dead if not (job.key and job.key in self.keys and self.keys[job.key].holds)][:limit]
        moved = [
            job for job in sorted(free, key=lambda job: (job.key or "", job.id)) if self.take_key(job) in (None, job)
        ]
        # the model gives keys to dead jobs here, so their state must change with it
        for job in moved:
            self.requeue(job)
        assert redrive(self.conn, limit=limit) == len(moved)

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def time_passes(self, pick: int) -> None:
        job = self.some(pick)
        if job.state == "waiting":
            make_due(self.conn, job.id)
            job.due = True

    @precondition(lambda self: self.keys)
    @rule(pick=PICK)
    def period_ends(self, pick: int) -> None:
        key = list(self.keys)[pick % len(self.keys)]
        query = "update pgqueue.job_keys set until = clock_timestamp() - interval '1 s' where key = %s and until is not null"
        self.conn.execute(query, (key,))
        self.keys[key].over = True

    @rule(who=WORKERS)
    def pause_claim_resume(self, who: int) -> None:
        """A pause that lasts would starve most histories."""
        pause, resume = "select pgqueue.pause('default')", "select pgqueue.resume('default')"
        assert [scalar(self.conn, pause), scalar(self.conn, pause)] == [True, False]
        assert (self.workers[who].claim(), self.workers[who].claim_alone()) == ([], [])
        assert [scalar(self.conn, resume), scalar(self.conn, resume)] == [True, False]

    @rule()
    def keep_house(self) -> None:
        assert rescue(self.conn) == []
        assert sweep(self.conn) == self.left
        self.left = 0

    @invariant()
    def they_agree(self) -> None:
        rows = self.conn.execute(
            "select id, state, attempt, failures, losses, key, priority from pgqueue.jobs order by id"
        ).fetchall()
        assert rows == [self.jobs[job_id].shown() for job_id in sorted(self.jobs)]
        keys = self.conn.execute("select key, job_id from pgqueue.job_keys order by key").fetchall()
        assert keys == sorted((key, hold.job.id) for key, hold in self.keys.items())

    def teardown(self) -> None:
        """Every attempt was told once, and the rest drains."""
        if not hasattr(self, "jobs"):
            return
        history: dict[int, list[tuple[int, str]]] = {job_id: [] for job_id in self.jobs}
        for job_id, attempt, outcome in self.conn.execute(
            "select job_id, attempt, outcome from pgqueue.attempts order by 1, 2"
        ):
            history[job_id].append((attempt, outcome))
        assert history == {job.id: job.history for job in self.jobs.values()}
        self.conn.execute("update pgqueue.queued_jobs set run_at = least(run_at, clock_timestamp())")
        for worker in self.workers:
            worker.leave()
        last = Worker(self.conn)
        last.done(*last.claim(1000))
        while leases := last.claim_alone():
            last.done(*leases)
        assert scalar(self.conn, "select count(*) from pgqueue.queued_jobs") == 0
        assert scalar(self.conn, "select count(*) from pgqueue.jobs") == len(self.jobs)


def check_random_histories(conn: Conn, examples: int, steps: int) -> None:
    conn.execute("set synchronous_commit = off")
    machine = type("Histories", (Machine,), {"conn": conn})
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=profile)


@pytest.mark.timeout(120)
def test_i2_i3_i4_i6_i11_i15_random_histories_never_leave_the_model(conn: Conn) -> None:
    check_random_histories(conn, examples=100, steps=40)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("examples", [250, pytest.param(2000, marks=pytest.mark.nightly)])
def test_i2_i3_i4_i6_i11_i15_many_random_histories_never_leave_the_model(connect: Connect, examples: int) -> None:
    check_random_histories(connect(), examples=examples, steps=50)
