"""The App: registration, settings, and what it refuses before any I/O."""

import asyncio
import functools
import pkgutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pgqueue
from pgqueue import App, ArgumentError, ConfigError, Discard, Job, RetryPolicy, UnknownTask
from pgqueue.app import App as AppAtHome

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def app() -> App:
    return App("postgresql://nowhere.invalid/x")


def test_making_an_app_needs_no_database_and_no_dsn(no_pgq_variables: None) -> None:
    made = App()

    with pytest.raises(ConfigError, match="no database is named"):
        made.dsn  # noqa: B018


def test_settings_come_from_the_environment_when_first_used(
    no_pgq_variables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = App()
    monkeypatch.setenv("PGQ_DSN", "host=late")
    monkeypatch.setenv("PGQ_SCHEMA", "tenant 1")

    assert (made.dsn, made.schema) == ("host=late", "tenant 1")
    assert App("host=x", schema="y").schema == "y"


def test_the_command_line_knows_better(app: App) -> None:
    app.configure(dsn="host=other", schema="s2")
    app.configure()

    assert (app.dsn, app.schema) == ("host=other", "s2")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"schema": ""}, "schema ''"),
        ({"schema": "x" * 64}, "at most 63 bytes"),
        ({"pool_size": 0}, "App: pool_size must be a whole number from 1, got 0"),
        ({"pool_timeout": "1"}, "App: pool_timeout must be a positive number of seconds, got '1'"),
        ({"pool_timeout": 0}, "App: pool_timeout must be a positive number of seconds, got 0"),
        ({"max_args_bytes": "1"}, "App: max_args_bytes must be a whole number from 1, got '1'"),
    ],
)
def test_bad_settings_are_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        App(**options)

    assert said in str(caught.value)


async def coroutine() -> None: ...


def added(a: int, b: int, c: int = 3) -> int:
    return a + b + c


class Clock:
    """An object that can be called, as decorators and frameworks make them."""

    async def __call__(self, when: datetime) -> datetime:
        return when


def generator() -> Iterator[int]:
    yield 1


async def agenerator() -> AsyncIterator[int]:
    yield 1


def late_context(a: int, ctx: Any) -> None: ...


@pytest.mark.parametrize(
    ("code", "options", "said"),
    [
        (coroutine, {"cpu": True}, "cpu=True runs in a process of its own, which takes a plain def"),
        (generator, {}, "a generator has no single result"),
        (agenerator, {}, "a generator has no single result"),
        (late_context, {}, 'the context must be the first positional parameter; move "ctx"'),
        (int, {}, "@app.task goes above a function, got <class 'int'>; for a class there is @app.job"),
        (coroutine, {"queue": ""}, "queue must be a text that is not empty"),
        (coroutine, {"priority": 500}, "priority must be a whole number from -100 to 100, got 500"),
        (coroutine, {"timeout": 5}, "timeout must be a timedelta above 0, at most 365 days, got 5"),
        (coroutine, {"max_attempts": 0}, "max_attempts must be a whole number from 1, got 0"),
        (coroutine, {"policies": {1: Discard}}, "policies: keys must be exception classes, got 1"),
        (coroutine, {"policies": [ValueError]}, "policies must be a dict such as {ValueError: Discard}, got [<class"),
        (lambda: 1, {}, 'has no name of its own; give it one: app.task(name="...")'),
        (functools.partial(coroutine), {}, 'has no name of its own; give it one: app.task(name="...")'),
        (Clock(), {}, 'has no name of its own; give it one: app.task(name="...")'),
        (functools.partial(generator), {"name": "x"}, "a generator has no single result; return a value"),
        (coroutine, {"retries": 3}, 'there is no option "retries"; there are name, queue'),
    ],
)
def test_a_task_that_cannot_work_is_refused_where_it_is_written(
    app: App, code: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        app.task(**options)(code)

    assert said in str(caught.value)
    assert not app.tasks


def test_partials_and_objects_that_can_be_called_are_tasks_under_a_name(app: App) -> None:
    partial = app.task(name="partial")(functools.partial(added, 1, c=5))
    called = app.task(name="called")(Clock())

    assert partial.job(2).new.args == '{"b":2}'
    assert partial.bind({"b": 2, "c": 3}) == ((), {"b": 2, "c": 3})
    assert (partial(2), partial.is_async) == (8, False)
    assert called.job(when=AT).new.args == '{"when":"2026-03-01T12:00:00+00:00"}'
    assert called.is_async
    assert asyncio.run(called(AT)) == AT


def test_a_task_may_be_registered_with_another_app_too(app: App) -> None:
    first = app.task(coroutine)

    second = App("postgresql://nowhere.invalid/x").task(first)

    assert second.name == first.name
    assert second.is_async


@pytest.mark.parametrize("how", [["shop/jobs.py"], ["-m", "shop.jobs"], ["-m", "shop"]])
def test_a_module_that_is_run_names_its_tasks_as_where_it_is_imported(tmp_path: Path, how: list[str]) -> None:
    code = "from pgqueue import App\napp = App()\n@app.task\ndef f(): ...\nif __name__ == '__main__': print(f.name)\n"
    package = tmp_path / "shop"
    package.mkdir()
    for name in ("__init__", "__main__", "jobs"):
        package.joinpath(f"{name}.py").write_text("" if name == "__init__" else code)

    said = subprocess.run([sys.executable, *how], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert said.strip() == {"shop/jobs.py": "jobs.f", "shop.jobs": "shop.jobs.f", "shop": "shop.__main__.f"}[how[-1]]


def test_an_annotation_that_is_unknown_at_run_time_is_named(app: App) -> None:
    def late(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    task = app.task(late)

    with pytest.raises(
        ConfigError, match=r"annotation 'Nowhere' of parameter \"a\" cannot be resolved .*TYPE_CHECKING"
    ):
        task.job(1)


def test_one_name_belongs_to_one_function(app: App) -> None:
    @app.task(name="same")
    def first() -> None: ...

    with pytest.raises(ConfigError, match=r'task "same": the name belongs to .*first already; give one of them name='):

        @app.task(name="same")
        def second() -> None: ...

    assert app.named("same") is first


def test_a_module_may_be_loaded_again(app: App) -> None:
    def make() -> Any:
        @app.task
        def again() -> None: ...

        return again

    make()
    second = make()

    assert app.named(second.name) is second


def test_an_unknown_task_is_answered_with_the_known_ones(app: App) -> None:
    app.task(name="a")(coroutine)

    with pytest.raises(UnknownTask, match=r'task "b" is not registered; this App knows: a'):
        app.named("b")


def test_the_registry_cannot_be_written_from_outside(app: App) -> None:
    with pytest.raises(TypeError):
        app.tasks["x"] = None  # type: ignore[index]


def test_policies_reach_the_task(app: App) -> None:
    policies = {ValueError: Discard, OSError: RetryPolicy(max_attempts=9)}

    task = app.task(policies=policies)(coroutine)

    assert task.delay_before_retry(1, ValueError()) is None
    assert task.delay_before_retry(8, FileNotFoundError()) is not None
    assert task.delay_before_retry(4, RuntimeError()) is None
    assert task.delay_before_retry(4, RuntimeError(), max_attempts=5) <= timedelta(seconds=8)  # type: ignore[operator]


def test_classes_that_cannot_be_jobs_are_refused(app: App) -> None:
    class NoRun(Job):
        a: int

    class Extra(Job):
        def run(self, ctx: Any, a: int) -> None: ...

    with pytest.raises(ConfigError, match=r'NoRun": write `def run'):
        app.job(NoRun)
    with pytest.raises(ConfigError, match=r'NoRun": write `def run'):
        NoRun(a=1).run()
    with pytest.raises(ConfigError, match='make "a" a field of the class'):
        app.job(Extra)
    with pytest.raises(ConfigError, match=r"@app\.job goes above a subclass of pgqueue\.Job"):
        app.job(int)  # type: ignore[type-var]


def test_pushing_an_unregistered_class_says_so(app: App) -> None:
    class Lost(Job):
        def run(self) -> None: ...

    with pytest.raises(UnknownTask, match=r"Lost is not registered with this App; put @app\.job above the class"):
        app.push(Lost())


def test_pushing_a_class_instead_of_a_job_says_so(app: App) -> None:
    class Send(Job):
        def run(self) -> None: ...

    app.job(Send)

    with pytest.raises(ArgumentError, match=r"push takes a job, not its class: write .*Send\(\.\.\.\)"):
        app.push(Send)  # type: ignore[arg-type]


def test_enqueue_many_takes_pending_jobs_of_its_own(app: App) -> None:
    other = App("postgresql://nowhere.invalid/x")
    foreign = other.task(coroutine).job()

    assert app.enqueue_many([]) == []
    with pytest.raises(ArgumentError, match=r"jobs\[0\] must come from task\.job\(\.\.\.\), got int"):
        app.enqueue_many([7])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match=r"enqueue_many takes a list of jobs, \[task\.job\(\.\.\.\), \.\.\.\], got"):
        app.enqueue_many(foreign)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"jobs\[0\]: task .* belongs to another App"):
        app.enqueue_many([foreign])


@pytest.mark.parametrize(("conn", "got"), [(object(), "builtins.object"), ("host=x", "builtins.str")])
def test_what_is_no_connection_is_refused_by_its_type(app: App, conn: Any, got: str) -> None:
    with pytest.raises(ArgumentError, match=rf"conn must be a psycopg Connection, got {got}"):
        app.task(coroutine).using(conn=conn).enqueue()


def test_importing_the_package_is_light() -> None:
    heavy = "alembic typer rich psycopg psycopg_pool sqlalchemy pydantic"
    code = f"import sys, pgqueue; print([m for m in '{heavy}'.split() if m in sys.modules])"
    app_code = (
        f"import sys; from pgqueue import App, Job; App(); print([m for m in '{heavy}'.split() if m in sys.modules])"
    )

    for source in (code, app_code):
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_imported_and_no_other() -> None:
    assert all(getattr(pgqueue, name) is not None for name in pgqueue.__all__)
    assert set(pgqueue.__all__) <= set(dir(pgqueue))


def test_no_module_stands_in_the_way_of_a_public_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(pgqueue.__path__)}

    assert modules & set(pgqueue.__all__) == set()
    assert pgqueue.App is AppAtHome
    with pytest.raises(AttributeError, match="no attribute 'Apq'"):
        pgqueue.Apq  # noqa: B018
