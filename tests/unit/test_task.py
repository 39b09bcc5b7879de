"""Tasks: their names and options, how arguments are encoded and bound, and what a call may ask for."""

import pickle
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pgqueue import App, ArgumentError, ConfigError, Exponential, Fixed, Job, PendingJob
from pgqueue.codec import loads

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
app = App("postgresql://nowhere.invalid/x")


@dataclass
class Basket:
    items: list[int]
    at: datetime


@app.task
def plain(user_id: int, name: str = "x", *, loud: bool = False) -> str:
    return f"{user_id} {name} {loud}"


@app.task(name="mail.basket", queue="mail", priority=-5, max_attempts=7, backoff=Fixed(timedelta(seconds=3)))
async def basket(ctx: Any, basket: Basket, at: datetime | None = None) -> Basket:
    return basket


@app.task
def bare(anything, *more, last=1, **rest):  # type: ignore[no-untyped-def]
    return anything, more, last, rest


@app.task
def positional(first: int, /, second: datetime) -> None: ...


@app.task
def nothing() -> None: ...


@app.job(queue="mail")
class Send(Job):
    user_id: int
    at: datetime | None = None

    async def run(self, ctx: Any) -> tuple[int, Any]:
        return self.user_id, ctx


@app.job
class Quiet(Job):
    def run(self) -> str:
        return "quiet"


def test_a_task_is_still_its_function() -> None:
    assert plain(7, loud=True) == "7 x True"
    assert plain.__name__ == "plain"
    assert plain.fn.__qualname__ == "plain"


def test_a_task_tells_the_worker_all_it_needs() -> None:
    assert (basket.name, basket.queue, basket.priority) == ("mail.basket", "mail", -5)
    assert (basket.max_attempts, basket.backoff, basket.timeout) == (
        7,
        Fixed(timedelta(seconds=3)),
        timedelta(minutes=30),
    )
    assert (basket.is_async, basket.wants_ctx, basket.cpu) == (True, True, False)
    assert (plain.is_async, plain.wants_ctx, plain.max_attempts) == (False, False, 4)
    assert plain.backoff == Exponential()
    assert plain.name == f"{__name__}.plain"
    assert app.tasks["mail.basket"] is basket


CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any], dict[str, Any]]] = [
    (plain, (7,), {}, {"user_id": 7}),
    (plain, (7, "é"), {"loud": True}, {"user_id": 7, "name": "é", "loud": True}),
    (plain, (), {"user_id": 2**70, "name": '"\\'}, {"user_id": 2**70, "name": '"\\'}),
    (plain, (True,), {}, {"user_id": True}),
    (nothing, (), {}, {}),
    (positional, (1, AT), {}, {"first": 1, "second": "2026-03-01T12:00:00+00:00"}),
    (bare, (1, 2, 3), {"x": [1], "last": None}, {"anything": 1, "more": [2, 3], "last": None, "x": [1]}),
    (basket, (Basket([1], AT),), {}, {"basket": {"items": [1], "at": "2026-03-01T12:00:00+00:00"}}),
]


@pytest.mark.parametrize(("task", "args", "kwargs", "sent"), CALLS)
def test_arguments_travel_by_name_and_come_back(
    task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], sent: dict[str, Any]
) -> None:
    pending = task.job(*args, **kwargs)
    bound_args, bound_kwargs = task.bind(loads(pending.new.args))

    assert loads(pending.new.args) == sent
    assert task.signature._shape.bind(*bound_args, **bound_kwargs) == task.signature._shape.bind(*args, **kwargs)


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "said"),
    [
        (plain, (), {}, "missing a required argument: 'user_id'; it takes (user_id: int, name: str = 'x'"),
        (plain, (1, 2), {}, 'argument "name" must be str, got 2 of type int'),
        (plain, (1, "a", True), {}, "too many positional arguments"),
        (plain, (1,), {"user_id": 2}, "multiple values for argument 'user_id'"),
        (plain, (1,), {"nam": "x"}, "got an unexpected keyword argument 'nam'"),
        (plain, ("7",), {}, "argument \"user_id\" must be int, got '7' of type str"),
        (plain, (1, "a\x00"), {}, 'argument "name" contains U+0000'),
        (nothing, (1,), {}, "too many positional arguments; it takes no arguments"),
        (basket, (Basket([1, "x"], AT),), {}, 'argument "basket.items[1]" must be int'),  # type: ignore[list-item]
        (basket, (), {"ctx": 1, "basket": None}, "got an unexpected keyword argument 'ctx'"),
        (bare, ({"a": {1: 2}},), {}, 'argument "anything.a" has the key 1 of type int; keys must be of type str'),
        (bare, (AT,), {}, "is of type datetime, which JSON does not have; annotate the parameter as datetime"),
        (bare, (1, float("nan")), {}, 'argument "more[0]" is nan'),
    ],
)
def test_arguments_that_do_not_fit_name_task_argument_and_remedy(
    task: Any, args: tuple[Any, ...], kwargs: dict[str, Any], said: str
) -> None:
    with pytest.raises(ArgumentError) as caught:
        task.job(*args, **kwargs)

    assert str(caught.value).startswith(f'task "{task.name}": ')
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("task", "given", "said"),
    [
        (plain, {}, 'argument "user_id" is missing; it takes (user_id: int'),
        (plain, {"user_id": 1, "x": 1}, 'it has no argument "x"; it takes (user_id: int'),
        (plain, {"user_id": "1"}, 'argument "user_id" must be int'),
        (plain, [1], "the arguments must be a JSON object, got list"),
        (nothing, {"x": 1}, 'it has no argument "x"; it takes no arguments'),
        (basket, {"basket": {"items": []}}, "argument \"basket\" lacks the field 'at' of Basket"),
        (positional, {"first": 1, "second": "soon"}, 'argument "second" must be a datetime as text like'),
    ],
)
def test_stored_arguments_that_do_not_fit_are_refused_when_run(task: Any, given: Any, said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        task.bind(given)

    assert said in str(caught.value)


def test_a_default_is_the_one_of_the_code_that_runs() -> None:
    assert plain.bind({"user_id": 1}) == ((), {"user_id": 1})
    assert loads(plain.job(1).new.args) == {"user_id": 1}


def test_arguments_of_too_many_bytes_are_refused() -> None:
    small = App("postgresql://nowhere.invalid/x", max_args_bytes=20)

    @small.task
    def echo(text: str) -> None: ...

    assert echo.job("1234567")
    with pytest.raises(ArgumentError, match=r"take 29 bytes as JSON, at most 20 are allowed; store the data"):
        echo.job("é" * 9)


def test_class_based_jobs_are_tasks_like_the_others() -> None:
    task = app.tasks[f"{__name__}.Send"]
    pending = app.pending(Send(user_id=7, at=AT), priority=3)

    args, kwargs = task.bind(loads(pending.new.args))

    assert (task.queue, task.is_async, task.wants_ctx, pending.new.priority) == ("mail", True, True, 3)
    assert kwargs == {"user_id": 7, "at": AT}
    coroutine = task.run_target("ctx", *args, **kwargs)
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value == (7, "ctx")
    assert app.tasks[f"{__name__}.Quiet"].run_target() == "quiet"


def test_only_what_the_call_says_goes_into_the_job() -> None:
    new = basket.job(Basket([], AT)).new
    asked = basket.using(max_attempts=2, timeout=timedelta(seconds=5), queue="slow", priority=9).job(Basket([], AT)).new

    assert (new.queue, new.priority, new.max_attempts, new.timeout) == ("mail", -5, None, None)
    assert (asked.queue, asked.priority, asked.max_attempts, asked.timeout) == ("slow", 9, 2, timedelta(seconds=5))


def test_options_add_up_and_the_later_one_wins() -> None:
    asked = plain.using(key="a", delay=timedelta(seconds=1)).using(key="b", meta={"trace": "x"})

    new = asked.job(1).new

    assert (new.key, new.delay, new.meta, new.task) == ("b", timedelta(seconds=1), '{"trace":"x"}', plain.name)


def test_expires_at_may_be_a_time_from_now() -> None:
    before = datetime.now(UTC)

    expires = plain.using(expires_at=timedelta(hours=1)).job(1).new.expires_at

    assert expires is not None
    assert before + timedelta(hours=1) <= expires <= datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delay": timedelta(1), "run_at": AT}, "delay and run_at are two answers to one question"),
        ({"run_at": AT.replace(tzinfo=None)}, "run_at must have a time zone (datetime.now(UTC)"),
        ({"run_at": "now"}, "run_at must be a datetime with a time zone, got 'now'"),
        ({"expires_at": AT.replace(tzinfo=None)}, "expires_at must have a time zone"),
        ({"expires_at": timedelta(0)}, "expires_at must be positive"),
        ({"delay": 5}, "delay must be a timedelta, got 5"),
        ({"delay": timedelta(-1)}, "delay must be zero or more and at most 3650 days"),
        ({"priority": 101}, "priority must be a whole number from -100 to 100, got 101"),
        ({"priority": True}, "priority must be a whole number"),
        ({"queue": ""}, "queue must be a text that is not empty and has no NUL, got ''"),
        ({"queue": "é" * 101}, "queue must take at most 200 bytes"),
        ({"key": "\ud800"}, "key has a lone surrogate"),
        ({"key": 7}, "key must be a text"),
        ({"key_policy": "replace"}, "key_policy says what happens to a key, but there is no key"),
        ({"key": "a", "key_policy": "maybe"}, "key_policy must be one of skip, replace, raise, got 'maybe'"),
        ({"key_period": timedelta(1)}, "key_period says what happens to a key"),
        ({"max_attempts": 0}, "max_attempts must be a whole number from 1 to 32767, got 0"),
        ({"timeout": timedelta(0)}, "timeout must be positive"),
        ({"meta": [1]}, "meta must be a mapping, got [1]"),
        ({"meta": {"a": float("inf")}}, "meta.a is inf, which JSON does not have"),
        ({"prio": 1}, 'there is no option "prio"; there are queue, priority, key'),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        plain.using(**options)

    assert str(caught.value).startswith(f'task "{plain.name}": {said}')


@pytest.mark.parametrize("name", ["key", "delay", "run_at", "max_attempts", "timeout", "expires_at", "meta"])
def test_none_means_that_an_option_is_not_given(name: str) -> None:
    assert plain.using(**{name: None}).job(1).new == plain.job(1).new  # type: ignore[arg-type]


def test_results_follow_the_return_annotation() -> None:
    stored = loads(basket.encode_result(Basket([1], AT)))

    assert basket.decode_result(stored) == Basket([1], AT)
    assert loads(bare.encode_result(AT)) == "2026-03-01T12:00:00+00:00"
    assert nothing.encode_result(None) == "null"


def test_a_result_of_another_type_than_annotated_is_kept_as_it_is() -> None:
    assert nothing.encode_result(3) == "3"
    assert basket.decode_result([3]) == [3]  # type: ignore[comparison-overlap]


def test_a_result_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r'task ".*nothing": the result is of type module, declared as module, which'
    ):
        nothing.encode_result(pickle)
    with pytest.raises(ArgumentError, match=r"the result is nan"):
        bare.encode_result(float("nan"))


def test_a_pending_job_shows_no_arguments() -> None:
    pending = plain.job(1, "secret")

    assert isinstance(pending, PendingJob)
    assert "secret" not in repr(pending)


@pytest.mark.parametrize("error", [ArgumentError("x"), ConfigError("y")])
def test_errors_of_tasks_cross_processes(error: Exception) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_local_task_may_name_itself() -> None:
    app = App()

    @app.task(name="again")
    def again(number: int) -> None:
        if number:
            again.enqueue(number - 1)

    assert app.tasks["again"] is again


def test_an_extra_argument_cannot_pass_for_a_parameter() -> None:
    taken = App().task(name="taken")(lambda first, /, *more, **rest: None)

    for name in ("first", "more"):
        with pytest.raises(ArgumentError, match=f'task "taken": argument "{name}" cannot be told from the parameter'):
            taken.job(1, **{name: 2})


def test_a_coroutine_that_nobody_awaited_is_no_result() -> None:
    async def work() -> int:
        return 1

    with pytest.raises(ArgumentError, match=r"the result is the coroutine .*work, which nobody awaited"):
        bare.encode_result(work())  # and warnings are errors here: it is closed


def test_a_model_that_cannot_even_say_why_it_cannot_be_written_is_refused() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Model(dict[str, int]):
        def items(self) -> Any:
            raise MuteError

    with pytest.raises(ArgumentError, match=r"raised MuteError: \(its message raised RuntimeError\)"):
        bare.encode_result(Model(a=1))
