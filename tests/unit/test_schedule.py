"""What `@app.schedule` takes, refuses, and tells the database."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from pgqueue import App, ConfigError, Job


@pytest.fixture
def app() -> App:
    return App("postgresql://nowhere.invalid/x")


def told(app: App) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(app.schedules.as_json())
    return found


def test_a_schedule_takes_its_tasks_name_queue_and_priority(app: App) -> None:
    @app.schedule("0 2 * * *", timezone="Europe/Berlin", missed="all", args={"day": date(2026, 5, 5)})
    @app.task(name="report", queue="reports", priority=-3)
    def report(day: date, total: int = 0) -> int:
        return total

    assert report(date(2026, 5, 5), 3) == 3  # still the task
    assert told(app) == [
        {
            "name": "report",
            "task": "report",
            "cron": "0 2 * * *",
            "every": None,
            "timezone": "Europe/Berlin",
            "args": {"day": "2026-05-05"},
            "queue": "reports",
            "priority": -3,
            "limits": None,
            "missed": "all",
            "missed_limit": 100,
            "overlap": "allow",
            "jitter": None,
        }
    ]


def test_the_limits_of_a_task_hold_for_its_schedules(app: App) -> None:
    @app.schedule("@daily")
    @app.task(name="t", limits=["api"])
    def work() -> None: ...

    assert told(app)[0]["limits"] == json.loads(work.job().new.limits or "")


def test_several_for_one_task_have_names(app: App) -> None:
    @app.schedule(every=timedelta(minutes=1.5), jitter=timedelta(seconds=10), overlap="skip", name="b")
    @app.schedule("@daily", name="a", missed_limit=5)
    @app.task
    async def sweep() -> None: ...

    assert {s["name"]: (s["cron"], s["every"], s["overlap"]) for s in told(app)} == {
        "a": ("@daily", None, "allow"),
        "b": (None, "90000000 microseconds", "skip"),
    }


def test_classes_can_be_scheduled(app: App) -> None:
    @app.schedule("@hourly", args={"size": 3})
    @app.job(name="sweep")
    class Sweep(Job):
        size: int

        def run(self) -> None: ...

    assert Sweep(size=1).size == 1
    assert told(app)[0]["args"] == {"size": 3}


def test_two_of_one_name_are_refused_and_the_same_again_is_not(app: App) -> None:
    def work() -> None: ...

    first = app.task(name="work")(work)
    app.schedule("@daily")(first)
    app.schedule("@daily")(first)
    with pytest.raises(ConfigError, match=r'schedule "work": there is another one .* name="..."'):
        app.schedule("@hourly")(first)
    with pytest.raises(ConfigError, match="another one"):
        app.schedule("@daily", name="work")(app.task(name="other")(work))
    again = app.task(name="work")(work)  # the module was imported again
    app.schedule("@hourly")(again)

    assert [s["cron"] for s in told(app)] == ["@hourly"]


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ((), {}, "one of them"),
        (("@daily",), {"every": timedelta(hours=1)}, "one of them"),
        (("0 25 * * *",), {}, "Bad hour"),
        (("0 0 30 2 *",), {}, "Bad day-of-month"),
        (("@daily",), {"timezone": "Mars/Base"}, 'timezone "Mars/Base": is not known'),
        ((), {"every": timedelta(hours=1), "timezone": "Europe/Berlin"}, "timezone belongs to a cron"),
        ((), {"every": 60}, "every must be a timedelta"),
        ((), {"every": timedelta(milliseconds=5)}, "at least a second"),
        ((), {"every": timedelta(days=4000)}, "every must be a timedelta, positive and at most 3650 days"),
        (("@daily",), {"timezone": None}, "timezone must be a name"),
        (("@daily",), {"args": [1]}, "args must be a mapping"),
        (("@daily",), {"args": {1: 2}}, "args must be a mapping"),
        ((5,), {}, "or every=timedelta(...), got 5"),
        (("@daily",), {"jitter": timedelta(0)}, "jitter must be"),
        (("@daily",), {"missed": "perhaps"}, "missed is one of skip, once, all"),
        (("@daily",), {"overlap": "never"}, "overlap one of allow, skip"),
        (("@daily",), {"missed_limit": 0}, "missed_limit must be a whole number"),
        (("@daily",), {"missed_limit": True}, "missed_limit must be a whole number"),
        (("@daily",), {"name": ""}, "name must be a text"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(
    app: App, given: tuple[Any, ...], options: dict[str, Any], said: str
) -> None:
    @app.task(name="t")
    def work() -> None: ...

    with pytest.raises(ConfigError) as caught:
        app.schedule(*given, **options)(work)

    assert said in str(caught.value)
    assert app.schedules == {}


def test_it_stands_above_a_task_of_the_same_app(app: App) -> None:
    def work() -> None: ...

    other = App("postgresql://nowhere.invalid/x").task(work)
    for code in (work, other, Job):
        with pytest.raises(ConfigError, match=r"goes above @app\.task or @app\.job of the same App"):
            app.schedule("@daily")(code)


def test_arguments_that_do_not_fit_stop_the_worker_at_its_start(app: App) -> None:
    @app.schedule("@daily")
    @app.task(name="t")
    def work(n: int) -> None: ...

    with pytest.raises(ConfigError, match=r'schedule "t": task "t": .*give them with args='):
        app.schedules.as_json()
