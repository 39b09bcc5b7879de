"""Flows as they are composed: what is sent to the database, and what is refused before it."""

import json
from typing import Any

import pytest

from pgqueue import App, ArgumentError, Flow, FlowHandle, batch, chain, dag, group, saga
from pgqueue.plan import Plan


class Offline(App):
    """Takes flows without a database."""

    def __init__(self) -> None:
        super().__init__("host=nowhere")

    def send_flow(self, flow: Flow, plan: Plan, *, read: Any, conn: Any = None) -> Any:
        return flow.kind, json.loads(plan.as_json(lambda new: new)), read


app = Offline()
other = Offline()


@app.task(name="t")
def task(n: int = 0) -> int:
    return n


@other.task(name="elsewhere")
def elsewhere() -> None: ...


def entries(flow: Flow) -> list[Any]:
    sent: Any = flow.enqueue()
    return list(sent[1])


def after(flow: Flow) -> list[list[Any]]:
    return [entry["after"] for entry in entries(flow)]


def test_a_chain_waits_link_by_link() -> None:
    assert entries(chain(task.job(1), task.job(2))) == [
        {"task": "t", "args": {"n": 1}, "queue": "default", "priority": 0, "after": []},
        {"task": "t", "args": {"n": 2}, "queue": "default", "priority": 0, "after": [0], "on_failure": "cancel"},
    ]


def test_what_a_job_asks_for_travels_along_except_what_a_flow_does_not_know() -> None:
    job = task.using(key="k", group_key="g", limits={"api": "x"}, meta={"a": [1]}).job()

    (sent,) = entries(chain(job))

    assert (sent["key"], sent["group_key"], sent["limits"], sent["meta"]) == ("k", "g", {"api": "x"}, {"a": [1]})
    assert "key_policy" not in sent


def test_many_after_few_and_few_after_many_need_no_barrier() -> None:
    assert after(chain(task.job(), group(task.job(), task.job()), task.job())) == [[], [0], [0], [1, 2]]


def test_a_barrier_stands_between_many_and_many() -> None:
    sent = entries(chain(group(task.job(), task.job()), group(task.job(), task.job())))

    assert [entry["after"] for entry in sent] == [[], [], [4], [4], [0, 1]]
    assert [entry.get("barrier", False) for entry in sent] == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("policy", "condition", "said"),
    [("run", [{"index": 0, "when": "ended"}], "cancel"), ("dead", [0], "dead"), ("wait", [0], "wait")],
)
def test_a_chain_may_go_on_die_or_wait_after_a_failure(policy: Any, condition: Any, said: str) -> None:
    sent = entries(chain(task.job(), task.job(), on_failure=policy))[1]

    assert (sent["after"], sent["on_failure"]) == (condition, said)


def test_the_nodes_of_a_dag_name_their_parents_and_what_has_to_become_of_them() -> None:
    g = dag(name="video")
    first = g.add(task.job(1), name="first")
    second = g.add(task.job(2), after=[first])
    g.add(task.job(3), after=[first.ended, second.failed], on_failure="dead")

    sent = entries(g)

    assert sent[0]["name"] == "first"
    assert [entry["after"] for entry in sent] == [
        [], [0], [{"index": 0, "when": "ended"}, {"index": 1, "when": "failed"}],
    ]  # fmt: skip
    assert sent[2]["on_failure"] == "dead"


def test_a_dag_may_say_for_all_of_its_nodes_that_they_run_anyway() -> None:
    g = dag(on_failure="run")
    first = g.add(task.job())
    g.add(task.job(), after=[first])
    g.add(task.job(), after=[first.succeeded])
    g.add(task.job(), after=[first], on_failure="wait")

    assert after(g) == [[], [{"index": 0, "when": "ended"}], [0], [0]]


def test_a_flow_is_a_node_and_its_ends_are_what_others_wait_for() -> None:
    g = dag()
    pair = g.add(group(task.job(), chain(task.job(), task.job())))
    g.add(task.job(), after=[pair.ended])

    assert after(g) == [[], [], [1], [{"index": 0, "when": "ended"}, {"index": 2, "when": "ended"}]]


def test_a_job_that_is_in_the_database_can_be_waited_for() -> None:
    class Known:
        id = 77

    g = dag()
    known: Any = Known()
    g.add(task.job(), after=[known])
    g.add(task.job(), after=[g.existing(known).ended])

    assert after(chain(task.job(), g)) == [
        [],
        [{"id": 77, "when": "succeeded"}, 0],
        [{"id": 77, "when": "ended"}, 0],
    ]


def test_a_batch_is_counted_by_a_barrier_that_knows_whether_all_succeeded() -> None:
    job = task.job
    sent = entries(batch([job(1), job(2)], on_success=job(3), on_done=job(4), on_failed=job(5)))

    assert sent[2] == {
        "after": [{"index": 0, "when": "ended"}, {"index": 1, "when": "ended"}],
        "verdict": True, "gather": True, "on_failure": "cancel", "barrier": True,
    }  # fmt: skip
    assert [(entry["role"], entry["after"]) for entry in sent[3:]] == [
        ("on_success", [{"index": 2, "when": "if_succeeded"}]),
        ("on_done", [{"index": 2, "when": "ended"}]),
        ("on_failed", [{"index": 2, "when": "failed"}]),
    ]


def test_what_follows_a_batch_follows_its_callbacks_too_which_may_be_skipped() -> None:
    assert after(chain(batch([task.job()], on_failed=task.job()), task.job()))[3] == [
        1, {"index": 2, "when": "not_failed"},
    ]  # fmt: skip


def test_a_batch_of_nothing_is_its_barrier_and_its_callbacks() -> None:
    sent = entries(batch([], on_success=task.job()))

    assert [entry["after"] for entry in sent] == [[], [{"index": 0, "when": "if_succeeded"}]]
    assert sent[0] == {"after": [], "verdict": True, "barrier": True}


def test_a_group_of_nothing_is_a_barrier() -> None:
    assert after(chain(task.job(), group(), task.job())) == [[], [0], [1]]


def test_a_saga_undoes_in_reverse_order_after_it_failed() -> None:
    sent = entries(saga((task.job(1), task.job(-1)), (task.job(2), None), (task.job(3), task.job(-3))))

    assert [entry.get("role") for entry in sent] == ["step", "step", "step", None, "undo", "undo"]
    assert [entry["args"]["n"] for entry in sent if "args" in entry] == [1, 2, 3, -3, -1]
    assert [entry["after"] for entry in sent[:4]] == [
        [], [0], [1], [{"index": place, "when": "ended"} for place in range(3)],
    ]  # fmt: skip
    assert sent[3]["verdict"]
    assert [entry["after"] for entry in sent[4:]] == [
        [{"index": 2, "when": "if_succeeded"}, {"index": 3, "when": "failed"}],
        [{"index": 0, "when": "if_succeeded"}, {"index": 3, "when": "failed"}, {"index": 4, "when": "not_failed"}],
    ]


def test_what_follows_a_saga_waits_until_it_is_undone() -> None:
    sent = after(chain(saga((task.job(), task.job())), task.job(), on_failure="run"))

    assert sent[3] == [{"index": 1, "when": "ended"}, {"index": 2, "when": "ended"}]


def test_results_have_the_shape_of_the_flow() -> None:
    flow = chain(task.job(), group(task.job(), chain(task.job(), task.job())))
    sent: Any = flow.enqueue()

    assert sent[2]({0: "a", 1: "b", 2: "c", 3: "d"}) == ["b", "d"]
    assert sent[2]({0: "a", 3: "d"}) == [None, "d"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: chain(task), "write task.job"),
        (lambda: group(task.job(), 7), "member 1 is neither"),
        (lambda: batch([None]), "member 0 is neither"),
        (lambda: chain(task.job(), on_failure="stop"), "one of cancel, run, dead, wait"),
        (lambda: dag(on_failure="stop"), "one of cancel, run, dead, wait"),
        (lambda: chain(name=""), "name must be a text"),
        (lambda: chain(name=7), "name must be a text"),
        (lambda: chain(name="\ud800"), "lone surrogate"),
        (lambda: chain(name="x" * 501), "at most 500 bytes"),
        (lambda: chain([task.job()]), r"write chain\(\*jobs\)"),
        (lambda: batch(task.job()), "takes a list of jobs"),
        (lambda: batch(7), "takes a list of jobs"),
        (lambda: dag().add(task.job(), name=""), "name must be a text"),
        (lambda: dag().add(task.job(), on_failure=""), "one of cancel, run, dead, wait"),
        (lambda: dag().add(task.job(), after=dag().add(task.job())), "after takes a list"),
        (lambda: dag().add(task.job(), after=None), "after takes a list"),
        (lambda: dag().existing(7), "the handle of a job, got 7"),
        (lambda: chain().enqueue(app=7), "app must be an App, got 7"),
        (lambda: saga(task), "step 0 must be"),
        (lambda: saga((task.job(), task.job(), None)), "step 0 must be"),
        (lambda: saga((None, task.job())), "step 0 must be"),
        (lambda: dag().add(task.job(), after=[7]), "after takes nodes"),
        (lambda: dag().add(task.job(), after=[dag().add(task.job())]), "a node of another dag"),
        (lambda: dag().add(chain(task.job()), name="x"), "name labels a job"),
        (lambda: chain().enqueue(), "app=app"),
        (lambda: chain(task.job(), elsewhere.job()).enqueue(), "another App"),
        (lambda: chain(task.using(key="k", key_policy="replace").job()).enqueue(), "cannot replace"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        make()


def test_one_parent_is_named_once() -> None:
    g = dag()
    first = g.add(task.job())
    g.add(task.job(), after=[first, first.ended])

    with pytest.raises(ArgumentError, match="named twice"):
        g.enqueue()


def test_a_flow_cannot_contain_itself() -> None:
    inner, outer = dag(), dag()
    outer.add(inner)
    inner.add(chain(outer))

    with pytest.raises(ArgumentError, match="a member of itself"):
        outer.enqueue(app=app)


def test_flows_are_nested_a_hundred_deep_and_no_deeper() -> None:
    flow = chain(task.job())
    for _ in range(99):
        flow = chain(flow)

    assert len(entries(flow)) == 1
    with pytest.raises(ArgumentError, match="inside more than 100 flows"):
        chain(flow).enqueue()


def test_a_flow_can_be_a_member_twice() -> None:
    both = group(task.job(1), task.job(2))

    assert len(entries(chain(both, task.job(), both))) == 5


def test_a_flow_without_jobs_is_told_its_app() -> None:
    sent: Any = group().enqueue(app=app)

    assert sent[1] == [{"after": [], "barrier": True}]


def test_a_handle_says_what_it_is() -> None:
    assert repr(FlowHandle(3, app.client, jobs=[], read=lambda _: None)) == "<FlowHandle of flow 3 of 0 jobs>"
    assert repr(chain(name="nightly")) == "<chain nightly>"
