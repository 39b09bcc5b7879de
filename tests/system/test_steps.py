"""Durable steps under kill -9: a step that was stored is not run again by whoever takes the job over."""

import os
import signal
from collections.abc import Callable

import pytest

from tests.support.fleet import Fleet
from tests.support.jobs import KINDS
from tests.support.ledger import Ledger
from tests.support.outcomes import Jobs
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
Work = Callable[..., Fleet]


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_killed_between_two_steps_leaves_the_first_one_done(
    work: Work, the: Jobs, ledger: Ledger, kind: str
) -> None:
    job = the.put(f"steps.{kind}", '{"hold": 60}')
    work("--processes", "2", "--lease", "1.5")

    wait_until(lambda: ledger.read("between", job), 20)
    found = the.conn.execute("select w.pid from pgqueue.workers w where w.id = %s", [the[job]["worker_id"]])
    ((worker,),) = found.fetchall()
    os.kill(worker, signal.SIGKILL)

    done = the.wait(job, "succeeded", 30)
    assert done["result"][:2] == [[1, {"a": None}], 2]
    assert [entry.attempt for entry in ledger.read("one", job)] == [1]
    assert [entry.attempt for entry in ledger.read("two", job)] == [done["attempt"]]
    assert [outcome for _, outcome in the.attempts(job) if outcome != "released"] == ["lost", "succeeded"]
