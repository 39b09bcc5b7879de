# ruff: noqa: E501 - SQL is told on one line
"""What may be done from the pages: each action changes the database and notes it, in one transaction, for those who may."""

import json
import re
from typing import Any

import httpx
import pytest

from pgqueue.ui.pages import dead
from tests.sql.engine import Worker, column, enqueue, enqueue_many, scalar
from tests.ui.conftest import Browse

STATE = "select j.state from pgqueue.jobs j where j.id = %s"
PAUSED = "select s.paused from pgqueue.schedules s where s.name = 'nightly'"


EMPTY = {"go": "1"}  # what a form without fields sends is of no type in httpx, unlike in browsers


def audit(conn: Any) -> list[tuple[Any, ...]]:
    """What was noted, without the line that the world brings."""
    return conn.execute(
        "select a.actor, a.role, a.action, a.target, a.detail from pgqueue.audit a where a.detail->>'note' is null order by a.id"
    ).fetchall()  # type: ignore[no-any-return]


def fields(answer: httpx.Response) -> dict[str, str]:
    """The hidden fields of the last form of a page."""
    form = answer.text[answer.text.rindex('<form method="post"') :]
    form = form[: form.index("</form>")]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


def die(
    conn: Any, count: int = 1, *, queue: str = "q", task: str = "t", error: str = "ValueError", **options: Any
) -> list[int]:
    """Enqueue jobs and let them die."""
    ids = enqueue_many(conn, [{"task": task, "queue": queue, **options} for _ in range(count)])
    worker = Worker(conn, queues=[queue], tasks=[task])
    leases = worker.step(count, queue=queue).leases
    worker.step(
        0, queue=queue, outcomes=[lease.outcome("dead", error={"type": error, "message": "no"}) for lease in leases]
    )
    return ids


# Who may, the address, the form, a query about the database, what it says before and after, and what is noted.
ACTIONS: tuple[tuple[str, str, dict[str, str], str, Any, Any, str, dict[str, Any]], ...] = (
    ("operator", "/actions/queues/pause", {"queue": "mail"}, "select exists (select from pgqueue.paused_queues)", False, True, "queue.pause", {"changed": True}),
    ("operator", "/actions/queues/resume", {"queue": "mail"}, "select exists (select from pgqueue.paused_queues)", True, False, "queue.resume", {"changed": True}),
    ("operator", "/jobs/{dead}/retry", {}, STATE.replace("%s", "{dead}"), "dead", "ready", "job.retry", {}),
    ("operator", "/jobs/{scheduled}/retry", {}, STATE.replace("%s", "{scheduled}"), "scheduled", "ready", "job.retry", {}),
    ("operator", "/jobs/{ready}/cancel", {}, STATE.replace("%s", "{ready}"), "ready", "cancelled", "job.cancel", {"was": "ready"}),
    ("operator", "/jobs/{running}/cancel", {}, "select exists (select from pgqueue.cancel_requests c where c.job_id = {running})", False, True, "job.cancel", {"was": "running"}),
    ("admin", "/jobs/{succeeded}/remove", {}, "select count(*) from pgqueue.jobs j where j.id = {succeeded}", 1, 0, "job.remove", {"was": "succeeded"}),
    ("operator", "/actions/schedules/pause", {"name": "nightly"}, PAUSED, False, True, "schedule.pause", {"changed": True}),
    ("operator", "/actions/schedules/resume", {"name": "nightly"}, PAUSED, True, False, "schedule.resume", {"changed": True}),
    ("operator", "/actions/schedules/run", {"name": "nightly"}, "select count(*) from pgqueue.jobs j where j.meta ->> 'schedule' = 'nightly'", 0, 1, "schedule.run", {}),
    ("operator", "/flows/{flow}/cancel", {}, "select f.cancelled from pgqueue.flows f where f.id = {flow}", 0, 2, "flow.cancel", {"jobs": 2}),
    ("operator", "/flows/{flow}/retry", {}, "select f.cancelled from pgqueue.flows f where f.id = {flow}", 2, 0, "flow.retry", {"jobs": 2}),
    ("operator", "/dead/redrive", {"upto": "{dead_2}", "queue": "mail"}, "select count(*) from pgqueue.dead_jobs", 2, 0, "dead.redrive", {"moved": 2, "stayed": 0}),
    ("admin", "/dead/delete", {"upto": "{dead_2}"}, "select count(*) from pgqueue.dead_jobs", 2, 0, "dead.delete", {"deleted": 2, "stayed": 0}),
)  # fmt: skip
LOWER = {"operator": ("viewer",), "admin": ("viewer", "operator")}
BEFORE = {
    "/actions/queues/resume": "/actions/queues/pause",
    "/actions/schedules/resume": "/actions/schedules/pause",
    "/flows/{flow}/retry": "/flows/{flow}/cancel",
}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action[1]}")
async def test_an_action_changes_and_is_noted_for_those_who_may(
    action: Any, conn: Any, world: dict[str, Any], browse: Browse
) -> None:
    role, path, form, question, before, after, name, detail = action
    form = {key: value.format(**world) for key, value in form.items()}
    if path in BEFORE:
        await browse().post(BEFORE[path].format(**world), data=form or EMPTY)
    noted = len(audit(conn))
    question = question.format(**world)
    assert scalar(conn, question) == before

    for lower in LOWER[role]:
        refused = await browse("vera", lower).post(path.format(**world), data=form or EMPTY)
        assert refused.status_code == 403
    assert (scalar(conn, question), len(audit(conn))) == (before, noted)
    answer = await browse("olga", role).post(path.format(**world), data=form or EMPTY)

    assert answer.status_code in {200, 303}, answer.text
    assert scalar(conn, question) == after
    who, role_noted, action_noted, _, detail_noted = audit(conn)[noted]
    assert (who, role_noted, action_noted) == ("olga", role, name)
    assert detail.items() <= detail_noted.items()
    assert len(audit(conn)) == noted + 1


async def test_what_is_refused_is_not_noted(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    second = scalar(conn, "select n.id from pgqueue.flow_nodes n where n.name = 'second'")
    client = browse()
    for path, status in (
        (f"/jobs/{world['succeeded']}/retry", 409),
        (f"/jobs/{second}/retry", 409),
        (f"/jobs/{world['ready']}/remove", 409),
        ("/jobs/999999/retry", 404),
        ("/jobs/999999/cancel", 404),
        ("/jobs/999999/remove", 404),
        ("/flows/999999/cancel", 404),
        ("/flows/999999/retry", 404),
        ("/actions/queues/pause", 400),
        ("/actions/schedules/run", 400),
    ):
        answer = await client.post(path, data=EMPTY)
        assert answer.status_code == status, path
        assert f"<h1>{status}</h1>" in answer.text
    assert (await client.post("/actions/schedules/run", data={"name": "none"})).status_code in {400, 404}
    assert audit(conn) == []


async def test_a_page_of_what_is_not_there_says_so(browse: Browse) -> None:
    client = browse()
    for path in (
        "/jobs/999999",
        "/jobs/999999/contents/args",
        "/flows/999999",
        "/schedules/none",
        "/workers/999999",
        "/limits/none",
        "/queues/none",
    ):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert "<h1>404</h1>" in answer.text
        assert "here is no" in answer.text
    assert (await client.get("/jobs/seven")).status_code == 400


async def test_a_redrive_counts_first_and_names_those_that_stay(conn: Any, browse: Browse) -> None:
    free = die(conn, 2)
    held = die(conn, 1, key="k")[0]
    other = die(conn, 1, error="KeyError")[0]
    holder = enqueue(conn, queue="q", key="k")
    client = browse("olga", "operator")

    asked = await client.get("/dead/redrive?error=ValueError")
    assert 'data-count="3"' in asked.text
    assert "1 of them would stay" in asked.text
    assert scalar(conn, "select count(*) from pgqueue.dead_jobs") == 4
    answer = await client.post("/dead/redrive", data=fields(asked))

    assert f"Job {held}: its key" in answer.text.replace("&#34;", '"')
    assert f"is held by job {holder}" in answer.text
    assert column(conn, "select d.id from pgqueue.dead_jobs d order by d.id") == [held, other]
    assert [scalar(conn, STATE, job) for job in free] == ["ready", "ready"]
    assert audit(conn)[-1][4] == {"moved": 2, "stayed": 1}


async def test_a_redrive_goes_on_batch_by_batch_and_leaves_what_died_later(
    conn: Any, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead, "BATCH", 2)
    ids = die(conn, 5)
    client = browse("olga", "operator")
    form = fields(await client.get("/dead/redrive?queue=q"))
    later = die(conn, 1)[0]

    rounds = 0
    while form:
        answer = await client.post("/dead/redrive", data=form)
        rounds += 1
        form = fields(answer) if "Go on" in answer.text else {}

    assert rounds == 3
    assert column(conn, "select d.id from pgqueue.dead_jobs d") == [later]
    assert [scalar(conn, STATE, job) for job in ids] == ["ready"] * 5
    assert [row[4]["moved"] for row in audit(conn)] == [2, 2, 1]
    assert ">5 <small>" in answer.text


async def test_a_delete_by_contents_touches_no_other(conn: Any, browse: Browse) -> None:
    gone, kept = die(conn, 2, args={"n": 1}), die(conn, 1, args={"n": 2})
    form = fields(await browse().get("/dead/delete", params={"args": json.dumps({"n": 1})}))
    form = {name: value.replace("&#34;", '"') for name, value in form.items()}

    answer = await browse().post("/dead/delete", data=form)

    assert answer.status_code == 200
    assert column(conn, "select d.id from pgqueue.dead_jobs d") == kept
    assert column(conn, "select a.id from pgqueue.job_args a where a.id = any (%s)", gone) == []
    assert '"n"' not in json.dumps(audit(conn), default=str)


async def test_only_an_admin_is_asked_before_deleting(world: dict[str, Any], browse: Browse) -> None:
    for path in ("/dead/delete", f"/jobs/{world['dead']}/remove"):
        assert (await browse("olga", "operator").get(path)).status_code == 403
        assert (await browse().get(path)).status_code == 200
    assert (await browse("vera", "viewer").get("/dead/redrive")).status_code == 403


async def test_buttons_are_shown_to_those_who_may(world: dict[str, Any], browse: Browse) -> None:
    for path in ("/queues", "/queues/mail", "/schedules", f"/jobs/{world['dead']}", "/dead", f"/flows/{world['flow']}"):
        shown = {
            role: (await browse("x", role).get(path)).text.partition("<main")[2]
            for role in ("viewer", "operator", "admin")
        }
        assert 'method="post"' not in shown["viewer"]
        assert "Delete" not in shown["operator"]
        assert "Remove" not in shown["operator"]
        assert 'method="post"' in shown["operator"] or "Retry all" in shown["operator"]
