"""The checker can fail: a clean history passes, and each thing that may not be in one is found by its rule."""

from itertools import islice, pairwise

import pytest

from tests.soak.app import RATE
from tests.soak.harvest import ORDER, Batch, Effect, Harvest, Job, Lease, Run, Workers
from tests.soak.plan import CRASH_EVERY_SECONDS, long, quick, schedule
from tests.soak.verdict import judge

SECOND = 1_000_000_000
WORKER, OTHER = 71, 72


def claim(seq: int, token: int, *, at: int | None = None, attempt: int = 1, worker: int = WORKER) -> Lease:
    return Lease(seq, (seq if at is None else at) * SECOND, None, token, worker, attempt, ended=False)


def release(seq: int, token: int, *, attempt: int = 1, worker: int = WORKER) -> Lease:
    return Lease(seq, seq * SECOND, token, None, worker, attempt, ended=False)


def end(seq: int, token: int, *, attempt: int = 1) -> Lease:
    return Lease(seq, seq * SECOND, token, None, WORKER, attempt, ended=True)


def run(kind: str, at: float, token: int) -> Run:
    return Run(int(at * SECOND), ORDER[kind], token)


def job(number: int, task: str = "plain", *, state: str = "finished", **args: object) -> Job:
    return Job(number, state, task, 1, 0, {"n": number, **args})


def history(*jobs: Job) -> Harvest:
    """Each job was claimed at 10 x its id, ran, and ended before the next was claimed."""
    leases, runs, effects = {}, {}, {}
    for found in jobs:
        at, token = 10 * found.id, 1000 + found.id
        leases[found.id] = [claim(at, token), end(at + 3, token)]
        runs[found.id] = [run("S", at + 1, token), run("D", at + 2, token)]
        effects[found.id] = [Effect(token, found.task, (at + 2) * SECOND)] if found.task == "effect" else []
    ids = [found.id for found in jobs]
    return Harvest(
        jobs=list(jobs),
        leases=leases,
        runs=runs,
        effects=effects,
        outcomes={},
        workers=Workers({WORKER: 1, OTHER: 2}, {}),
        batches=[Batch("b", "plain", ids[0], len(ids), ids)],
        lease_seconds=2.0,
        calm_at=10_000 * SECOND,
    )


def rerun(*, outcome: str = "lost", silent: float | None = 2.5) -> Harvest:
    """One job, whose first worker was killed at 12 and declared lost at 15."""
    found = history(job(1))
    found.leases[1] = [claim(10, 1), release(15, 1), claim(20, 2, attempt=2, worker=OTHER), end(23, 2, attempt=2)]
    found.runs[1] = [run("S", 11, 1), run("S", 21, 2), run("D", 22, 2)]
    found.outcomes[1, 1] = outcome
    found.workers.lost = {} if silent is None else {WORKER: silent}
    found.faults = [{"kind": "kill", "at": 12 * SECOND, "hit": True, "what": [1]}]
    return found


def rules(harvest: Harvest) -> set[str]:
    return {rule for rule, count in judge(harvest).violations.items() if count}


def test_a_clean_history_breaks_no_rule() -> None:
    found = history(
        job(1), job(2, "effect"), job(3, "grouped", group="g"), job(4, "grouped", group="g"), job(5, "gated")
    )

    assert judge(found).violations == dict.fromkeys(judge(found).violations, 0)
    assert rules(rerun()) == set()


def test_an_acknowledged_job_that_is_missing_is_lost() -> None:
    found = history(job(1), job(2))
    found.jobs.pop()

    assert rules(found) == {"lost"}


@pytest.mark.parametrize("state", ["unfinished", "dead", "cancelled"])
def test_a_job_that_did_not_succeed_is_lost(state: str) -> None:
    assert rules(history(job(1, state=state))) == {"lost"}


def test_a_job_that_nobody_enqueued_is_unexpected() -> None:
    found = history(job(1), job(2))
    found.batches = [Batch("b", "plain", 1, 1, [1])]

    assert rules(found) == {"unexpected"}


def test_half_a_transaction_is_torn() -> None:
    found = history(job(1), job(2))
    found.batches = [Batch("b", "plain", 1, 3, None)]

    assert rules(found) == {"torn"}


def test_a_number_that_is_there_twice_is_double() -> None:
    found = history(job(1), job(2))
    found.jobs[1] = replace_args(found.jobs[1], n=1)
    found.batches = [Batch("b", "keyed", 1, 1, [1])]

    assert rules(found) == {"double"}


def replace_args(found: Job, **args: object) -> Job:
    return found._replace(args=found.args | args)


def test_an_end_after_the_end_is_double() -> None:
    found = history(job(1))
    found.leases[1].append(end(30, 1001))

    assert rules(found) == {"double"}


@pytest.mark.parametrize(("effects", "rule"), [(0, "lost"), (2, "double")])
def test_an_effect_is_there_once(effects: int, rule: str) -> None:
    found = history(job(1, "effect"))
    found.effects[1] = found.effects[1] * effects

    assert rules(found) == {rule}


def test_an_effect_by_another_attempt_than_the_one_that_ended_the_job_is_stale() -> None:
    found = history(job(1, "effect"))
    found.effects[1] = [Effect(7, "effect", 0)]

    assert rules(found) == {"stale"}


def test_a_guarded_effect_outside_of_its_lease_is_stale() -> None:
    found = history(job(1, "guarded"))
    found.effects[1] = [Effect(1001, "guarded", 14 * SECOND)]

    assert rules(found) == {"stale"}


def test_an_attempt_that_starts_twice_is_double() -> None:
    found = history(job(1))
    found.runs[1].insert(0, run("S", 10.5, 1001))

    assert rules(found) == {"double"}


def test_a_job_settled_before_its_attempt_came_to_its_end_is_stale() -> None:
    found = history(job(1))
    found.runs[1][1] = run("D", 13.5, 1001)

    assert rules(found) == {"stale"}


def test_a_job_settled_by_an_attempt_that_never_started_is_stale() -> None:
    found = history(job(1))
    found.runs[1] = []

    assert rules(found) == {"stale"}


def test_a_run_with_a_token_that_no_claim_gave_is_stale() -> None:
    found = history(job(1))
    found.runs[1].append(run("S", 12, 5))

    assert rules(found) == {"stale"}


def test_a_claim_of_a_leased_job_is_illegal() -> None:
    found = rerun()
    found.leases[1][1] = found.leases[1][1]._replace(now=9)

    assert "illegal" in rules(found)


def test_an_attempt_number_that_repeats_is_illegal() -> None:
    found = rerun()
    found.leases[1][2] = found.leases[1][2]._replace(attempt=1)

    assert "illegal" in rules(found)


def test_a_loss_by_a_worker_that_nobody_declared_lost_is_illegal() -> None:
    assert rules(rerun(silent=None)) == {"illegal"}


def test_a_worker_declared_lost_before_its_lease_was_over_is_illegal() -> None:
    assert rules(rerun(silent=1.9)) == {"illegal"}


def test_a_worker_whose_process_has_ended_may_be_declared_lost_at_once() -> None:
    found = rerun(silent=0.1)
    found.workers.ended = {WORKER}

    assert rules(found) == set()


@pytest.mark.parametrize("outcome", ["failed", "snoozed", "dead"])
def test_an_outcome_that_a_plain_job_cannot_have_is_unexplained(outcome: str) -> None:
    assert rules(rerun(outcome=outcome)) == {"unexplained"}


def test_a_rerun_without_a_fault_is_unexplained() -> None:
    found = rerun()
    found.faults = [{"kind": "kill", "at": 12 * SECOND, "hit": True, "what": [2]}]

    assert rules(found) == {"unexplained"}


def test_a_rerun_long_after_the_last_fault_is_unexplained() -> None:
    found = rerun()
    found.calm_at = -SECOND

    assert rules(found) == {"unexplained"}


def test_a_retry_too_few_is_unexplained() -> None:
    found = rerun(outcome="failed")
    found.jobs = [job(1, "retrying", fails=2)]

    assert rules(found) == {"unexplained"}


def test_two_leases_of_a_group_do_not_overlap() -> None:
    found = history(job(1, "grouped", group="g"), job(2, "grouped", group="g"))
    found.leases[2][0] = claim(11, 1002)

    assert rules(found) == {"group"}


def test_a_group_ends_in_the_order_of_its_ids() -> None:
    found = history(job(2, "grouped", group="g"), job(1, "grouped", group="g"))
    found.leases = {2: [claim(1, 1), end(4, 1)], 1: [claim(5, 2), end(8, 2)]}
    found.runs = {2: [run("S", 2, 1), run("D", 3, 1)], 1: [run("S", 6, 2), run("D", 7, 2)]}
    found.batches = [Batch("b", "plain", 1, 2, [1, 2])]

    assert rules(found) == {"group"}


def test_two_handlers_of_a_group_do_not_overlap_on_equal_stamps_either() -> None:
    found = history(job(1, "grouped", group="g"), job(2, "grouped", group="g"))
    found.leases = {1: [claim(10, 5), end(20, 5)], 2: [claim(11, 5, at=10), end(21, 5)]}
    found.runs = {1: [run("S", 11, 5), run("D", 12, 5)], 2: [run("S", 12, 5), run("D", 13, 5)]}

    assert rules(found) == {"group"}


def test_a_concurrency_limit_holds() -> None:
    found = history(*(job(number, "gated") for number in range(1, 5)))
    for number in range(1, 5):
        found.leases[number] = [claim(number, 1000 + number), end(100 + number, 1000 + number)]
        found.runs[number] = [run("S", 50, 1000 + number), run("D", 51, 1000 + number)]

    assert rules(found) == {"concurrency"}


def test_a_rate_limit_holds() -> None:
    jobs = [job(number, "dripping") for number in range(1, 2 * RATE + 2)]
    found = history(*jobs)
    for each in jobs:
        found.leases[each.id][0] = claim(10 * each.id, 1000 + each.id, at=9)

    assert rules(found) == {"rate"}


def test_a_callback_waits_for_its_batch() -> None:
    found = history(job(1, "member"), job(2, "member"))
    found.batches = [Batch("b", "flow", 1, 2, [1, 2])]
    found.leases[2][0] = claim(12, 1002)

    assert rules(found) == {"callback"}


def test_a_seed_replays_its_faults() -> None:
    first, again, other = (list(islice(schedule(quick(seed)), 500)) for seed in (7, 7, 8))

    assert first == again
    assert first != other


def test_crashes_are_far_enough_apart() -> None:
    at, crashes = 0.0, []
    for fault in islice(schedule(long(1, jobs=10, minutes=40)), 5000):
        at += fault.gap
        crashes += [at] if fault.kind == "crash" else []

    assert len(crashes) > 50
    assert min(b - a for a, b in pairwise(crashes)) >= CRASH_EVERY_SECONDS
