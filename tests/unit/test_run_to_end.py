"""The loop of a worker process goes on through what tasks and callbacks of handlers throw at it."""

import asyncio
import logging

import pytest

from pgqueue.worker.main import run_to_end, runner


@pytest.mark.parametrize("thrown", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("with_uvloop", [False, True])
def test_what_a_task_or_a_callback_throws_through_the_loop_does_not_end_it(
    thrown: BaseException, with_uvloop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def leave() -> None:
        raise thrown

    def throw() -> None:
        raise thrown

    async def work() -> int:
        with pytest.raises(type(thrown)):
            await asyncio.gather(leave())
        asyncio.get_running_loop().call_soon(throw)
        await asyncio.sleep(0.01)
        return 5

    caplog.set_level(logging.ERROR, logger="pgqueue.worker.main")
    with runner() if with_uvloop else asyncio.Runner() as loop_runner:
        status = run_to_end(loop_runner.get_loop(), work())

    assert status == 5
    assert [record.getMessage() for record in caplog.records] == [
        "something that a handler started wanted to end the worker"
    ] * 2


def test_what_the_work_itself_throws_ends_it() -> None:
    async def work() -> int:
        raise SystemExit(4)

    with asyncio.Runner() as loop_runner, pytest.raises(SystemExit):
        run_to_end(loop_runner.get_loop(), work())
