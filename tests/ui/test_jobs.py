# ruff: noqa: E501 - SQL is told on one line
"""The list of jobs: each filter finds its jobs and no others, and paging forth and back meets each job once."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from pgqueue.listing import jobs as listing
from pgqueue.ui.pages import joblist
from tests.sql.engine import Worker, enqueue, enqueue_many
from tests.ui.conftest import Browse

JOB = re.compile(r'<th scope="row"><a href="/jobs/(\d+)"')
LINK = re.compile(r'rel="(prev|next)" href="([^"]+)"')


def jobs(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(each) for each in JOB.findall(answer.text)]


def link(answer: httpx.Response, rel: str) -> str | None:
    return {word: href.replace("&amp;", "&") for word, href in LINK.findall(answer.text)}.get(rel)


def finish(conn: Any, count: int, *, queue: str = "done", task: str = "t", **options: Any) -> list[int]:
    """Enqueue jobs and let them succeed."""
    ids = enqueue_many(conn, [{"task": task, "queue": queue, **options} for _ in range(count)])
    worker = Worker(conn, queues=[queue], tasks=[task])
    leases = worker.step(count, queue=queue).leases
    worker.step(0, queue=queue, outcomes=[lease.outcome("succeeded", result=1) for lease in leases])
    return ids


FILTERS = (
    ({"state": "ready"}, "ready grouped behind first"),
    ({"state": "running"}, "running"),
    ({"state": "scheduled"}, "failed scheduled"),
    ({"state": "blocked"}, "second"),
    ({"state": "succeeded"}, "succeeded"),
    ({"state": "cancelled"}, "cancelled"),
    ({"state": "dead"}, "dead dead_2"),
    ({"state": "ready", "task": "send"}, "ready grouped behind first"),
    ({"state": "blocked", "task": "send"}, "second"),
    ({"state": "ready", "queue": "mail"}, "ready grouped behind first"),
    ({"state": "ready", "queue": "other"}, ""),
    ({"key": "key-1"}, "ready"),
    ({"key": "key-1", "queue": "mail"}, "ready"),
    ({"key": "key-1", "queue": "other"}, ""),
    ({"key": "key-1", "state": "dead"}, ""),
    ({"group": "group-1"}, "grouped behind"),
    ({"queue": "other"}, ""),
    ({"task": "other"}, ""),
    ({"args": '{"nested": {"plain": "shown"}}', "state": "dead"}, "dead dead_2"),
    ({"args": '{"nested": {"plain": "else"}}'}, ""),
    ({"meta": '{"trace": "t-1"}', "state": "cancelled"}, "cancelled"),
    ({"meta": '{"trace": "t-2"}'}, ""),
    ({"error": "ValueError"}, "dead dead_2"),
    ({"error": "KeyError"}, ""),
    ({"error": "ValueError", "state": "ready"}, ""),
)


async def test_each_filter_finds_its_jobs_and_no_others(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    client = browse()
    named = world | dict(conn.execute("select n.name, n.id from pgqueue.flow_nodes n").fetchall())
    for query, expected in FILTERS:
        found = set(jobs(await client.get("/jobs", params=query)))

        assert found == {named[name] for name in expected.split()}, query


async def test_no_filter_shows_all_newest_first(world: dict[str, Any], browse: Browse) -> None:
    found = jobs(await browse().get("/jobs"))

    assert found == sorted(found, reverse=True)
    assert {world[name] for name in ("succeeded", "dead", "failed", "running", "ready", "cancelled", "behind")} <= set(
        found
    )


async def test_times_of_enqueueing_bound_the_list(conn: Any, browse: Browse) -> None:
    old, middle, new = enqueue(conn), finish(conn, 1)[0], enqueue(conn)
    now = datetime.now(UTC)
    for job, table, hours in ((old, "queued_jobs", 48), (middle, "finished_jobs", 24)):
        conn.execute(
            f"update pgqueue.{table} set created_at = now() - %s * interval '1 hour' where id = %s", (hours, job)
        )
    day = {
        "since": f"{now - timedelta(hours=30):%Y-%m-%dT%H:%M}",
        "until": f"{now - timedelta(hours=12):%Y-%m-%dT%H:%M}",
    }

    assert jobs(await browse().get("/jobs", params=day)) == [middle]
    assert jobs(await browse().get("/jobs", params={"since": day["until"]})) == [new]
    assert jobs(await browse().get("/jobs", params={"until": day["since"]})) == [old]


async def test_an_id_leads_to_its_job(browse: Browse) -> None:
    answer = await browse().get("/jobs", params={"id": "77"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/77")


WRONG: tuple[dict[str, str], ...] = (
    {"state": "sleepy"}, {"args": "[1]"}, {"args": "{"}, {"meta": '{"a": "\\u0000"}'}, {"since": "yesterday"}, {"older": "1.2.3.4"},
    {"older": "x", "state": "ready"}, {"id": "seven"}, {"args": '{"password": "x"}'}, {"queue": "q" * 600},
)  # fmt: skip


async def test_a_filter_that_is_none_is_refused_with_a_page(browse: Browse) -> None:
    client = browse()
    for query in WRONG:
        answer = await client.get("/jobs", params=query)

        assert answer.status_code == 400, query
        assert "<h1>400</h1>" in answer.text


async def test_a_viewer_cannot_ask_for_contents(browse: Browse) -> None:
    client = browse("vera", "viewer")
    for query in ({"args": "{}"}, {"meta": "{}"}, {"error": "ValueError"}):
        for path in ("/jobs", "/dead"):
            assert (await client.get(path, params=query)).status_code == 400


class Pages:
    """Walks over a list by its links, with small pages."""

    def __init__(self, client: httpx.AsyncClient, address: str) -> None:
        self.client = client
        self.address: str | None = address
        self.pages: list[list[int]] = []

    @property
    def found(self) -> list[int]:
        return [job for page in self.pages for job in page]

    async def on(self, rel: str) -> bool:
        answer = await self.client.get(str(self.address))
        self.pages.append(jobs(answer))
        self.address = link(answer, rel)
        return self.address is not None


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblist, "ROWS", 4)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize(
    "query",
    [
        "",
        "?queue=a",
        "?task=t",
        "?state=ready",
        "?state=ready&queue=a",
        "?state=scheduled",
        "?state=succeeded",
        "?meta={}",
    ],
)
async def test_paging_forth_and_back_meets_each_job_once_while_others_come(
    query: str, conn: Any, browse: Browse
) -> None:
    made = enqueue_many(
        conn,
        [
            {
                "task": "t",
                "queue": "ab"[i % 2],
                "delay": "1 hour" if i % 3 == 0 else None,
                "meta": {"n": i},
                "priority": i % 3,
            }
            for i in range(18)
        ],
    )
    finished = finish(conn, 9, queue="a", meta={"x": 1})
    everything = set(made + finished)
    forth = Pages(browse(), f"/jobs{query}")

    while await forth.on("next"):
        enqueue_many(
            conn,
            [{"task": "t", "queue": "a", "meta": {}}, {"task": "t", "queue": "a", "delay": "1 minute", "meta": {}}],
        )
    met = [job for job in forth.found if job in everything]
    back = Pages(browse(), f"/jobs{query}")
    while await back.on("next"):
        last = back.address
    back.pages, back.address = [], last
    while await back.on("prev") and len(back.pages) < 50:
        enqueue(conn, queue="a", meta={})
    until_top = [job for page in back.pages[:-1] for job in page]

    assert len(met) == len(set(met)) >= 6
    assert len(until_top) == len(set(until_top))  # the newest page is a full one again
    assert set(met) <= set(back.found)


@pytest.mark.usefixtures("small_pages")
async def test_a_walk_that_finds_little_says_so_and_goes_on(
    conn: Any, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "WINDOW", 30)
    rare = enqueue(conn, "rare")
    enqueue_many(conn, [{"task": "t"} for _ in range(40)])
    answer = await browse().get("/jobs?task=rare")
    assert jobs(answer) == []
    assert "Looked at" in answer.text
    pages = Pages(browse(), "/jobs?task=rare")
    pages.address = re.findall(r'href="([^"]*older=[^"]*)"', answer.text)[0].replace("&amp;", "&")

    for _ in range(9):
        answer = await browse().get(str(pages.address))
        if jobs(answer):
            break
        pages.address = re.findall(r'href="([^"]*older=[^"]*)"', answer.text)[0].replace("&amp;", "&")

    assert jobs(answer) == [rare]


@pytest.mark.usefixtures("small_pages")
async def test_a_large_queue_is_walked_and_a_small_one_looked_through(
    conn: Any, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "WINDOW", 30)
    old = enqueue(conn, queue="small")
    enqueue_many(conn, [{"task": "t", "queue": "large"} for _ in range(40)])

    assert jobs(await browse().get("/jobs?queue=small")) == [old]  # far behind the window of ids
    monkeypatch.setattr(listing, "FEW", 1)
    assert jobs(await browse().get("/jobs?queue=small")) == []


async def test_jobs_of_a_suspect_kind_are_listed(conn: Any, browse: Browse) -> None:
    job = enqueue(conn, queue="q")
    conn.execute("update pgqueue.queued_jobs set suspect = true where id = %s", (job,))

    for query in ("?state=ready", "?state=ready&queue=q", "?queue=q", ""):
        assert jobs(await browse().get(f"/jobs{query}")) == [job]


async def test_an_empty_list_says_what_to_do(browse: Browse) -> None:
    said = {"/jobs": "Enqueue one", "/dead": "no dead letter", "/queues": "pgq work", "/flows": "chain", "/schedules": "app.schedule",
            "/workers": "pgq work", "/limits": "app.limit", "/jobs?task=none": "see all jobs", "/dead?task=none": "see all of them"}  # fmt: skip
    for address, words in said.items():
        answer = await browse().get(address)
        assert answer.status_code == 200
        assert words in answer.text, address


async def test_the_live_part_is_a_part(world: dict[str, Any], browse: Browse) -> None:
    for path in ("/jobs", "/dead", "/queues", "/flows", "/schedules", "/workers", "/limits", f"/jobs/{world['dead']}"):
        answer = await browse().get(path, headers={"hx-request": "true"})
        assert answer.status_code == 200
        assert "<html" not in answer.text
        assert json.dumps(answer.text)
