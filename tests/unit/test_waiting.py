"""The helper that tests wait with."""

import pytest

from tests.support import wait_until, wait_until_async


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, None, 7])

    assert wait_until(lambda: next(values)) == 7


def test_a_condition_that_never_holds_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: False, timeout=0.02)


async def test_async_predicates_are_awaited() -> None:
    values = iter([False, True])

    async def predicate() -> bool:
        return next(values)

    assert await wait_until_async(predicate)
