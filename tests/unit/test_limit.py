"""Limits as the code writes them: what is refused at once, and what is sent."""

import json
from datetime import timedelta
from typing import Any

import pytest

from pgqueue import App, ArgumentError, ConfigError, Weight
from pgqueue.calls import enqueue, enqueue_many


@pytest.fixture
def app() -> App:
    return App("host=nowhere")


def sent(job: Any) -> Any:
    return json.loads(job.new.limits)


def test_a_task_names_its_limits_and_a_call_gives_the_keys(app: App) -> None:
    @app.task(limits=["stripe", "gpu"])
    def charge(customer: int) -> None: ...

    assert sent(charge.job(1)) == {"stripe": "", "gpu": ""}
    assert sent(charge.using(limits={"stripe": 7}).job(1)) == {"stripe": "7", "gpu": ""}
    assert sent(charge.using(limits={"mail": "acme"}).job(1)) == {"stripe": "", "gpu": "", "mail": "acme"}


def test_a_weight_and_a_key_are_kept_until_the_call_says_another(app: App) -> None:
    @app.task(limits={"openai": Weight(3, key="shared")})
    def ask() -> None: ...

    assert sent(ask.job()) == {"openai": {"key": "shared", "weight": 3}}
    assert sent(ask.using(limits={"openai": "acme"}).job()) == {"openai": {"key": "acme", "weight": 3}}
    assert sent(ask.using(limits={"openai": Weight(9)}).job()) == {"openai": {"key": "shared", "weight": 9}}
    assert sent(ask.using(limits={"openai": Weight(1, key="b")}).job()) == {"openai": "b"}
    assert sent(ask.using(limits=["openai"]).job()) == {"openai": {"key": "shared", "weight": 3}}


def test_a_task_without_limits_sends_none_and_stays_plain(app: App) -> None:
    @app.task
    def plain() -> None: ...

    assert enqueue(plain.job().new).name == "enqueue_plain"
    assert enqueue(plain.using(fair_key="acme").job().new).name == "enqueue"


def test_the_gates_travel_with_many_as_with_one(app: App) -> None:
    @app.task(limits=["api"], group_retry="pass")
    def call() -> None: ...

    job = call.using(group_key="order-7", fair_key="acme", limits={"api": "t"}).job().new

    (many,) = json.loads(enqueue_many([job]).params["jobs"])
    assert {name: many[name] for name in ("group_key", "group_retry", "limits", "fair_key")} == {
        "group_key": "order-7", "group_retry": "pass", "limits": {"api": "t"}, "fair_key": "acme",
    }  # fmt: skip
    one = enqueue(job).params
    assert (one["group_key"], one["group_retry"], one["limits"], one["fair_key"]) == (
        "order-7", "pass", '{"api":"t"}', "acme",
    )  # fmt: skip


def test_group_retry_is_sent_only_with_a_group(app: App) -> None:
    @app.task(group_retry="pass")
    def call() -> None: ...

    assert call.job().new.group_retry is None
    assert call.using(group_key="a", group_retry="hold").job().new.group_retry == "hold"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": "stripe"}, "must be names"),
        ({"limits": ["stripe", 7]}, "name must be a text"),
        ({"limits": (name for name in ["stripe"])}, "must be names"),
        ({"limits": {"stripe": 2**300}}, "256 bits"),
        ({"limits": {"": "a"}}, "1 to 200 bytes"),
        ({"limits": {"stripe": 1.5}}, "the key must be a text or a whole number"),
        ({"limits": {"stripe": True}}, "the key must be a text or a whole number"),
        ({"limits": {"stripe": "x" * 1001}}, "use a hash"),
        ({"limits": {"stripe": Weight(0)}}, "from 1 to 1000000"),
        ({"group_key": ""}, "group_key must be a text"),
        ({"group_key": 7}, "group_key must be a text"),
        ({"group_key": "a", "group_retry": "wait"}, "one of hold, pass"),
        ({"group_retry": "pass"}, "about a group"),
        ({"fair_key": "x" * 1001}, "at most 1000 bytes"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_at_the_call(app: App, options: Any, said: str) -> None:
    @app.task
    def call() -> None: ...

    with pytest.raises(ArgumentError, match=said):
        call.using(**options)


@pytest.mark.parametrize("options", [{"limits": "stripe"}, {"limits": {"a": []}}, {"group_retry": "wait"}])
def test_a_task_whose_gates_cannot_be_meant_is_refused(app: App, options: Any) -> None:
    with pytest.raises(ConfigError, match="call"):

        @app.task(**options)
        def call() -> None: ...


@pytest.mark.parametrize(
    ("name", "rule", "said"),
    [
        ("stripe", {}, "give rate"),
        ("", {"concurrency": 1}, "1 to 200 bytes"),
        ("stripe", {"rate": 0}, "positive number"),
        ("stripe", {"rate": True}, "positive number"),
        ("stripe", {"rate": 1, "per": 60}, "per must be a timedelta"),
        ("stripe", {"rate": 1e-300}, "more than 3650 days to grant 1"),
        (
            "stripe",
            {"rate": 1, "per": timedelta(days=300), "burst": 2**31 - 1},
            "more than 3650 days to grant 2147483647",
        ),
        ("stripe", {"rate": 1e12}, "at most 1000000 a second"),
        ("stripe", {"concurrency": 1, "burst": 2}, "burst belongs to a rate"),
        ("stripe", {"rate": 1, "burst": 0}, "burst must be a whole number"),
        ("stripe", {"concurrency": 1.5}, "concurrency must be a whole number"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(app: App, name: str, rule: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        app.limit(name, **rule)


def test_a_limit_has_one_rule(app: App) -> None:
    app.limit("gpu", concurrency=4)
    app.limit("gpu", concurrency=4)

    with pytest.raises(ConfigError, match="another rule"):
        app.limit("gpu", concurrency=5)


def test_the_app_knows_which_limits_nobody_declares(app: App) -> None:
    app.limit("stripe", rate=100, per=timedelta(minutes=1), burst=7)

    @app.task(limits=["stripe", "mail"])
    def charge() -> None: ...

    assert app.limits.undeclared(app.tasks.values()) == ["mail"]
    (rule,) = json.loads(app.limits.as_json())
    assert rule == {"name": "stripe", "rate": 100, "per": "60000000 microseconds", "burst": 7, "concurrency": None}
