"""The names that the contract fixes: functions and their arguments, columns, states, commands, flags, Python's surface.

What they do is held elsewhere; here a name that is changed or dropped is noticed, wherever it is used.
"""

import inspect
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from typer.main import get_command

import pgqueue
from pgqueue import App, Context, FlowHandle, Handle, Job, State
from pgqueue.cli.root import tree

Conn = psycopg.Connection[Any]

ENQUEUE = (
    "task text, args jsonb, queue text, priority integer, run_at timestamp with time zone, key text, group_key text, "
    "max_attempts integer, timeout interval, expires_at timestamp with time zone, meta jsonb, key_policy text, "
    "key_period interval"
)

FUNCTIONS = {
    "enqueue": (ENQUEUE, "bigint"),
    "enqueue_many": ("jobs jsonb", "SETOF bigint"),
    "cancel": ("id bigint", "text"),
    "retry": ("id bigint", "bigint"),
    "redrive": ('queue text, task text, "limit" integer', "bigint"),
    "pause": ("queue text", "boolean"),
    "resume": ("queue text", "boolean"),
    "backlog": ("queue text", "bigint"),
    "why": ("id bigint", "TABLE(gate text, detail text)"),
}

VIEWS = {
    "jobs": "id task queue state priority args meta key group_key attempt max_attempts run_at created_at started_at "
    "finished_at worker_id progress result error",
    "attempts": "job_id attempt worker_id started_at finished_at outcome error",
    "queues": "queue paused scheduled blocked ready running succeeded cancelled dead oldest_due_age "
    "throughput failures",
    "workers": "id host pid queues tasks concurrency running started_at heartbeat_at alive",
    "schedules": "name task cron timezone paused last_at next_at",
}

COMMANDS = """demo; migrate --plan --sql; work; enqueue --args; jobs ls; jobs show; jobs retry; jobs cancel; jobs rm;
    why; dlq ls; dlq redrive; dlq purge; queues ls; queues pause; queues resume; workers; schedules ls; schedules run;
    schedules pause; schedules resume; stats; top; health; doctor; metrics; ui; grants; autoscale"""

WORK = """-q -c --processes --min-processes --max-processes --threads --burst --max-jobs --max-memory --shutdown-timeout
    --reload --no-listen --listen-dsn --poll-interval --health-port --metrics-port --lease"""

PYTHON: dict[Any, str] = {
    App: "task job enqueue_many aenqueue_many push apush schedule limit cancel acancel retry aretry redrive aredrive "
    "pause apause resume aresume backlog abacklog why awhy",
    pgqueue.Task: "enqueue aenqueue using job",
    Handle: "id result aresult state astate",
    FlowHandle: "id jobs result aresult",
    Context: "job attempt progress step cancelled guard complete",
    pgqueue: "App Exponential Job Snooze Retry Cancel Discard chain group batch dag saga",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_and_returns_what_the_contract_says(conn: Conn, name: str) -> None:
    query = """select pg_get_function_identity_arguments(oid), pg_get_function_result(oid), pronargs - pronargdefaults
               from pg_proc where pronamespace = 'pgqueue'::regnamespace and proname = %s"""
    arguments, result = FUNCTIONS[name]

    (found,) = conn.execute(query, [name]).fetchall()  # one signature a name, or `=>` is ambiguous

    assert found[0] == arguments or found[0].startswith(f"{arguments}, ")  # more only at the end
    assert found[1] == result
    assert found[2] <= 1, "all arguments after the first have defaults"


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_the_columns_of_the_contract_in_their_order(conn: Conn, view: str) -> None:
    columns = conn.execute(f"select * from pgqueue.{view} limit 0").description  # type: ignore[arg-type]

    assert columns is not None
    assert [column.name for column in columns][: len(VIEWS[view].split())] == VIEWS[view].split()


def test_the_states_have_the_words_of_the_contract() -> None:
    assert " ".join(State) == "scheduled blocked ready running succeeded cancelled dead"


def _commands(at: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    yield path, {option for parameter in at.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for name, inner in getattr(at, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}".strip())


EVERY = dict(_commands(get_command(tree())))


@pytest.mark.parametrize("words", [" ".join(words.split()) for words in COMMANDS.split(";")])
def test_a_command_is_there_with_its_flags(words: str) -> None:
    path = " ".join(word for word in words.split() if not word.startswith("-"))

    assert {word for word in words.split() if word.startswith("-")} <= EVERY[path]


def test_pgq_work_has_its_flags() -> None:
    assert set(WORK.split()) <= EVERY["work"]


@pytest.mark.parametrize("owner", PYTHON, ids=lambda owner: owner.__name__)
def test_python_has_its_names(owner: Any) -> None:
    assert [name for name in PYTHON[owner].split() if not hasattr(owner, name)] == []


@pytest.mark.parametrize(
    "name", ["enqueue_many", "push", "cancel", "retry", "redrive", "pause", "resume", "backlog", "why"]
)
def test_verbs_have_twins_that_take_the_same(name: str) -> None:
    plain, twin = getattr(App, name), getattr(App, f"a{name}")

    assert inspect.signature(plain) == inspect.signature(twin)
    assert (inspect.iscoroutinefunction(plain), inspect.iscoroutinefunction(twin)) == (False, True)
    assert inspect.signature(plain).parameters["conn"].kind is inspect.Parameter.KEYWORD_ONLY


def test_the_defaults_of_a_task_are_those_of_the_contract() -> None:
    task = App("postgresql://nowhere.invalid/x").task(name="t")(lambda: None)

    assert (task.queue, task.priority, task.timeout) == ("default", 0, timedelta(minutes=30))
    waits = [task.delay_before_retry(failures, ValueError()) for failures in (1, 2, 3, 4)]
    for wait, most in zip(waits, (1, 2, 4), strict=False):
        assert wait is not None
        assert 0.5 * most < wait.total_seconds() <= most
    assert waits[3] is None  # 4 tries: the first and 3 retries
    assert pgqueue.Exponential().delay(99) <= timedelta(hours=1)


def test_a_class_is_an_equal_citizen() -> None:
    app = App("postgresql://nowhere.invalid/x")

    @app.job(queue="mail")
    class Send(Job):
        user_id: int

        async def run(self, ctx: Any) -> None: ...

    pending = app.pending(Send(user_id=7), priority=3)

    assert (pending.new.queue, pending.new.args, pending.new.priority) == ("mail", '{"user_id":7}', 3)
