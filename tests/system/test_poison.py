"""Jobs that kill the process they run in: bounded, with evidence, and without harm to their neighbours (I11)."""

from collections.abc import Callable

import pytest

from tests.support.fleet import Fleet
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
Work = Callable[..., Fleet]


@pytest.mark.parametrize("how", ["exit", "abort", "kill"])
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_poison_dies_a_bounded_number_of_times_and_its_neighbours_finish(
    work: Work, the: Jobs, ledger: Ledger, kind: str, how: str
) -> None:
    before = [the.put("hold.async", '{"seconds": 0.3}') for _ in range(5)]
    poison = the.put(f"die.{kind}", f'{{"how": "{how}"}}')
    after = [the.put("hold.async", '{"seconds": 0.3}') for _ in range(5)]

    work("--processes", "2", "--lease", "1.5", "-c", "8")

    dead = the.wait(poison, "dead", 40)
    deaths = ledger.read("start", poison)
    assert len(deaths) <= 3
    assert len({entry.pid for entry in deaths}) == len(deaths)
    attempts = [(number, outcome) for number, outcome in the.attempts(poison) if outcome != "released"]
    assert [outcome for _, outcome in attempts] == ["lost"] * (len(attempts) - 1) + ["dead"]
    assert [number for number, _ in the.attempts(poison)] == list(range(1, dead["attempt"] + 1))
    evidence = [error["message"] for error in the.errors(poison) if error is not None]
    assert len(evidence) == len(deaths)
    assert all("stopped beating" in message for message in evidence)
    assert (dead["failures"], dead["losses"]) == (0, 2)
    for job in [*before, *after]:
        the.wait(job, "succeeded", 20)
        assert (the[job]["failures"], the[job]["losses"]) == (0, 0)
    assert ledger.overlaps() == []


@pytest.mark.parametrize("how", ["exit", "abort", "kill"])
def test_poison_in_a_cpu_handler_kills_its_own_process_only(work: Work, the: Jobs, ledger: Ledger, how: str) -> None:
    neighbour = the.put("hold.async", '{"seconds": 2.0}')
    poison = the.put("die.cpu", f'{{"how": "{how}"}}')

    fleet = work("--lease", "5")
    (worker,) = fleet.ready()

    dead = the.wait(poison, "dead", 20)
    assert len(ledger.read("start", poison)) == dead["losses"] == 2
    said = {"exit": "status 3", "abort": "SIGABRT", "kill": "SIGKILL"}[how]
    for error in the.errors(poison):
        assert error is not None
        assert said in error["message"]
    the.wait(neighbour, "succeeded")
    assert the.attempts(neighbour) == [(1, "succeeded")]
    assert worker in fleet.workers()
    the.wait(the.put("add.cpu", '{"a": 1, "b": 2}'), "succeeded", 20)


def test_the_supervisor_starts_a_process_for_what_has_to_run_alone(work: Work, the: Jobs, ledger: Ledger) -> None:
    fleet = work("--lease", "1.5")
    (worker,) = fleet.ready()
    long = [the.put("hold.async", '{"seconds": 8.0}')]
    suspect = the.put("hold.async", '{"seconds": 0.1}', queue="default", run_at="2999-01-01 00:00:00+00")
    the.conn.execute("update pgqueue.queued_jobs set suspect = true, run_at = now() where id = %s", [suspect])

    the.wait(suspect, "succeeded", 20)

    ran = ledger.read("start", suspect)[0].pid
    assert ran != worker
    assert worker in fleet.workers()
    assert the[long[0]]["state"] == "running"
    wait_until(lambda: fleet.workers() == [worker], 20)
    assert the.attempts(suspect) == [(1, "succeeded")]


def test_a_task_of_a_handler_that_exits_fails_its_job_and_nothing_else(work: Work, the: Jobs, ledger: Ledger) -> None:
    neighbour = the.put("hold.async", '{"seconds": 1.5}')
    fleet = work("--lease", "5")
    (worker,) = fleet.ready()
    wait_until(lambda: ledger.read("start", neighbour))
    poison = the.put("leave", "{}")

    dead = the.wait(poison, "dead")

    assert dead["error"]["type"] == "SystemExit"
    assert the.attempts(poison) == [(1, "failed"), (2, "dead")]
    the.wait(neighbour, "succeeded")
    assert the.attempts(neighbour) == [(1, "succeeded")]
    assert fleet.workers() == [worker]
