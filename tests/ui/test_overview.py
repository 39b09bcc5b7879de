"""The overview: what it shows is what the statistics say, and ten who look cost no more than one."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.engine import Worker, enqueue, scalar
from tests.support.waiting import wait_until
from tests.ui.conftest import Browse

if TYPE_CHECKING:
    import psycopg


@pytest.fixture
def history(conn: "psycopg.Connection[Any]") -> None:
    """Three jobs that succeeded in the last full minute, and one that died, folded."""
    worker = Worker(conn)
    for _ in range(4):
        enqueue(conn)
    good, bad = (leases := worker.step().leases)[:3], leases[3]
    worker.step(0, done=good, outcomes=[bad.outcome("dead", error={"type": "E", "message": "m"})])
    wait_until(lambda: folded(conn) == 4)
    conn.execute("delete from pgqueue.overall_minutes where succeeded + failed = 0")
    for table in ("statistics_minutes", "overall_minutes"):
        conn.execute(f"update pgqueue.{table} set minute = date_trunc('minute', now()) - interval '1 min'")


def folded(conn: "psycopg.Connection[Any]") -> int:
    """Fold for a tenth of a second, perhaps less than a slow machine needs; how many attempts the statistics have."""
    conn.execute("select pgqueue.fold_statistics('0 s')")
    return int(scalar(conn, "select coalesce(sum(s.succeeded + s.dead), 0) from pgqueue.statistics s"))


async def test_a_queue_is_shown_with_its_depth_and_rates(world: dict[str, Any], browse: Browse) -> None:
    page = (await browse().get("/")).text
    row = page.split(">mail</a>")[1].split("</tr>")[0]

    assert '<svg class="depth"' in row
    for number in ("1", "4", "2"):  # running, ready, scheduled and dead
        assert f'<td class="num">{number}</td>' in row


async def test_the_charts_numbers_are_those_of_the_statistics(
    history: None, browse: Browse, conn: "psycopg.Connection[Any]"
) -> None:
    numbers = (await browse().get("/numbers.json")).json()

    assert {len(column) for column in numbers.values()} == {60}
    assert sum(numbers["throughput"]) == 3
    assert sum(numbers["failures"]) == 1
    assert 3 in numbers["throughput"][-2:]  # the last one, or the minute has just turned
    assert all(later - earlier == 60 for earlier, later in zip(numbers["at"], numbers["at"][1:], strict=False))


@pytest.mark.parametrize(("span", "points"), [("day", {143, 144}), ("week", {167, 168})])
async def test_a_longer_span_has_longer_steps(span: str, points: set[int], history: None, browse: Browse) -> None:
    answer = await browse().get("/numbers.json", params={"span": span})

    assert answer.status_code == 200
    assert len(answer.json()["at"]) in {*points, max(points) + 1}
    assert (await browse().get("/", params={"span": span})).status_code == 200


async def test_a_span_that_there_is_not_is_refused(browse: Browse) -> None:
    assert (await browse().get("/", params={"span": "year"})).status_code == 400


async def test_a_viewer_sees_the_numbers(history: None, browse: Browse) -> None:
    answer = await browse("vera", "viewer").get("/numbers.json")

    assert sum(answer.json()["throughput"]) == 3


@pytest.mark.parametrize(
    ("part", "shown", "left_out"), [("totals", "Dead letters", "<table"), ("queues", "<table", "Dead letters")]
)
async def test_a_part_is_answered_alone(
    part: str, shown: str, left_out: str, world: dict[str, Any], browse: Browse
) -> None:
    headers = {"hx-request": "true", "hx-target": f"live-{part}"}

    answer = (await browse().get("/", headers=headers)).text

    assert shown in answer
    assert left_out not in answer
    assert "<html" not in answer


@pytest.mark.parametrize("page", ["/", "/queues"])
async def test_a_queue_that_nobody_serves_is_marked(page: str, conn: Any, browse: Browse) -> None:
    enqueue(conn, "t", queue="served")
    enqueue(conn, "t", queue="idle", delay="1 hour")
    Worker(conn, queues=["served"], tasks=["t"])
    assert "no worker" not in (await browse().get(page)).text

    enqueue(conn, "t", queue="alone")

    seen = (await browse().get(page)).text
    assert seen.count("no worker") == 2  # the badge's word, and the state that colours it
    assert re.search(r"alone</a>.*no worker", seen, re.DOTALL)


async def test_a_queue_whose_workers_do_not_know_its_task_says_so(conn: Any, browse: Browse) -> None:
    enqueue(conn, "tpyo", queue="q")
    conn.execute("update pgqueue.queued_jobs set run_at = run_at - interval '1 minute'")
    Worker(conn, queues=["q"], tasks=["t"])

    seen = (await browse("vera", "viewer").get("/queues/q")).text

    assert 'knows the task <a href="/jobs?queue=q&amp;task=tpyo">tpyo</a>' in seen


async def test_ten_who_look_cost_one_query(
    world: dict[str, Any], browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pgqueue.ui.database

    asked: list[str] = []
    of_pages = pgqueue.ui.database.statement

    def counted(package: str, name: str, schema: str) -> str:
        asked.append(name)
        return of_pages(package, name, schema)

    monkeypatch.setattr("pgqueue.ui.database.statement", counted)
    client = browse()
    for _ in range(10):
        await client.get("/")

    assert asked.count("overview") <= 2
    assert asked.count("numbers") == 1
    assert asked.count("fold") == 1
