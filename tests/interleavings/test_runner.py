"""The runner itself: it walks every order once, knows who waits, and plays an order again as it was."""

from math import comb

from tests.interleavings.moves import sql, tx
from tests.interleavings.runner import PAUSE, History, Script, orders
from tests.interleavings.stage import Stage


def walk(stage: Stage, *scripts: Script) -> list[History]:
    return list(orders(lambda order: stage.conductor.play(scripts, order)))


def test_steps_that_never_wait_are_taken_in_every_order(stage: Stage) -> None:
    look = tx("look", sql("select 1"), sql("select 2"))

    found = [history.order for history in walk(stage, look, look)]

    assert len(found) == len(set(found)) == comb(6, 3)
    assert found[0] == "AAABBB"
    assert found[-1] == "BBBAAA"


def test_who_waits_takes_no_step_until_it_is_released(stage: Stage) -> None:
    lock = tx("lock", sql("select pg_advisory_xact_lock(77)"))

    histories = {history.order: history.lines for history in walk(stage, lock, lock)}

    assert sorted(histories) == ["AABB", "ABAB", "BABA", "BBAA"]
    assert histories["ABAB"] == ["A lock", "B lock (waits)", "A commit", "B goes on", "B commit"]


def test_a_deadlock_is_an_error(stage: Stage) -> None:
    one, two = sql("select pg_advisory_xact_lock(78)"), sql("select pg_advisory_xact_lock(79)")

    found = {history.order: history.errors for history in walk(stage, tx("one", one, two), tx("two", two, one))}

    assert [order for order, errors in found.items() if errors] == [
        order for order in found if order[:2] in ("AB", "BA")
    ]
    assert all(error.startswith("40P01") for errors in found.values() for error in errors)


def test_a_function_that_pauses_goes_on_as_a_step_of_its_own(stage: Stage) -> None:
    body = f"do $$ begin {PAUSE} {PAUSE} end $$"

    found = [history.order for history in walk(stage, tx("pause", sql(body)), tx("look", sql("select 1")))]

    assert len(found) == len(set(found)) == comb(6, 2)


def test_an_order_is_played_again_as_it_was(stage: Stage) -> None:
    lock = tx("lock", sql("select pg_advisory_xact_lock(80)"))

    first, second = (stage.conductor.play([lock, lock], "BABA").lines for _ in range(2))

    assert first == second == ["B lock", "A lock (waits)", "B commit", "A goes on", "A commit"]
