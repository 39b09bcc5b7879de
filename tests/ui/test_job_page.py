# ruff: noqa: E501 - SQL is told on one line
"""The page of a job, and those of flows, schedules, workers and limits: what there is to see is on them."""

import json
from datetime import timedelta
from typing import Any

from pgqueue.ui.pages import job as job_page
from tests.sql.engine import Worker, enqueue, enqueue_many, scalar
from tests.ui.conftest import Browse


async def text(browse: Browse, path: str, role: str = "admin") -> str:
    answer = await browse("ada", role).get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_dead_job_shows_its_attempts_with_tracebacks(world: dict[str, Any], browse: Browse) -> None:
    shown = await text(browse, f"/jobs/{world['dead']}")

    for piece in (
        "ValueError",
        "no such user",
        "Traceback: line 1",
        "attempt 1",
        'data-state="dead"',
        "&#34;plain&#34;: &#34;shown&#34;",
        "Retry",
        "Remove",
    ):
        assert piece in shown, piece


async def test_an_error_may_lack_anything(conn: Any, browse: Browse) -> None:
    job = enqueue(conn)
    for number, error in enumerate(("{}", '{"type": null, "message": 7}', '"only text"', "[1]", None), 1):
        conn.execute(
            "insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)"
            " values (%s, now(), now(), now(), 1, %s, 'failed', %s::jsonb)",
            (job, number, error),
        )

    shown = await text(browse, f"/jobs/{job}")

    assert "only text" in shown
    assert shown.count('class="attempt"') == 5


async def test_a_running_job_shows_its_progress_and_worker(world: dict[str, Any], browse: Browse) -> None:
    shown = await text(browse, f"/jobs/{world['running']}")

    for piece in ('value="0.4"', "40 %", "half", f"/workers/{world['worker']}", "Cancel"):
        assert piece in shown, piece


async def test_a_waiting_job_says_why(world: dict[str, Any], browse: Browse) -> None:
    for role in ("viewer", "admin"):
        shown = await text(browse, f"/jobs/{world['behind']}", role)
        assert "Why it waits" in shown
        assert 'data-state="group"' in shown


async def test_a_result_and_a_flow_are_shown(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    assert "&#34;sent&#34;: &#34;yes&#34;" in await text(browse, f"/jobs/{world['succeeded']}")
    second = scalar(conn, "select n.id from pgqueue.flow_nodes n where n.name = 'second'")

    shown = await text(browse, f"/jobs/{second}")

    assert 'data-current="yes"' in shown
    assert shown.count('class="node"') == 2
    assert shown.count("marker-end") == 1


async def test_a_long_value_is_cut_and_can_be_seen_whole(conn: Any, browse: Browse) -> None:
    long = "x" * job_page.SHOWN + "the end"
    job = enqueue(conn, args={"text": long})

    shown = await text(browse, f"/jobs/{job}")
    assert "the end" not in shown
    assert f"/jobs/{job}/contents/args" in shown

    assert "the end" in await text(browse, f"/jobs/{job}/contents/args")
    assert "xxx" not in await text(browse, f"/jobs/{job}/contents/args", "viewer")
    assert (await browse().get(f"/jobs/{job}/contents/token")).status_code == 404


async def test_a_flow_too_large_to_be_drawn_is_a_table(conn: Any, browse: Browse) -> None:
    jobs = ",".join(['{"task": "t"}'] * (job_page.DRAWN + 5))
    flow = scalar(
        conn, "select flow_id from pgqueue.enqueue_flow(%s::jsonb) limit 1", f'{{"kind": "group", "jobs": [{jobs}]}}'
    )

    shown = await text(browse, f"/flows/{flow}")

    assert "<svg" not in shown.partition("<main")[2]
    assert 'rel="next"' in shown
    assert "too many" in await text(browse, f"/jobs/{scalar(conn, 'select min(n.id) from pgqueue.flow_nodes n')}")


async def test_flows_are_filtered_by_state(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    assert f"/flows/{world['flow']}" in await text(browse, "/flows?state=running")
    assert f"/flows/{world['flow']}" not in await text(browse, "/flows?state=failed")
    conn.execute("select pgqueue.cancel_flow(%s)", (world["flow"],))

    for state, there in (("running", False), ("cancelled", True)):
        assert (f"/flows/{world['flow']}" in await text(browse, f"/flows?state={state}")) is there


async def test_a_schedule_shows_its_ticks_and_next_times(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    conn.execute("update pgqueue.job_schedules set next_at = '2040-01-01 02:00+00', last_at = now()")
    for hours, job in ((1, world["succeeded"]), (2, world["dead"]), (3, None), (4, 10**9)):
        conn.execute(
            "insert into pgqueue.schedule_ticks (schedule, tick_at, job_id) values ('nightly', now() - %s, %s)",
            (timedelta(hours=hours), job),
        )

    shown = await text(browse, "/schedules")
    assert "4 last ticks: 1 succeeded, 1 dead, 1 passed over" in shown

    one = await text(browse, "/schedules/nightly")
    for piece in (
        "2040-01-01 02:00:00",
        "2040-01-02 02:00:00",
        "2040-01-03 02:00:00",
        f"/jobs/{world['dead']}",
        'data-state="gone"',
    ):
        assert piece in one, piece


async def test_a_stuck_worker_is_marked_and_its_page_shows_where_it_stands(
    conn: Any, world: dict[str, Any], browse: Browse
) -> None:
    conn.execute(
        "select pgqueue.note_incident(%s, 'host-1', 1, 'loop_blocked', array[%s]::bigint[], 'it does not turn', %s)",
        [world["worker"], world["running"], 'File "<b>.py", line 3, in wait'],
    )

    listed = await text(browse, "/workers")
    shown = await text(browse, f"/workers/{world['worker']}")

    assert 'data-state="stuck"' in listed
    assert "loop_blocked" in listed
    assert "It is stuck: loop_blocked" in shown
    assert "File &#34;&lt;b&gt;.py&#34;, line 3, in wait" in shown
    assert shown.count(f"/jobs/{world['running']}") == 2


async def test_workers_show_what_they_run_and_who_is_lost(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    lost = Worker(conn, queues=["q"], tasks=["t"])
    conn.execute(
        "update pgqueue.worker_processes set lost_at = now(), heartbeat_at = now() - interval '1 hour' where id = %s",
        (lost.id,),
    )

    shown = await text(browse, "/workers")
    assert f"/jobs/{world['running']}" in shown
    assert shown.index("host-1") < shown.index(f"/workers/{lost.id}")
    assert 'data-state="lost"' in shown

    assert f"/jobs/{world['running']}" in await text(browse, f"/workers/{world['worker']}")
    assert 'data-state="lost"' in await text(browse, f"/workers/{lost.id}")


async def test_a_stuck_worker_is_marked_with_where_it_stands(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    conn.execute(
        "update pgqueue.worker_processes set stuck = 'loop_blocked', stuck_since = now() where id = %s",
        (world["worker"],),
    )
    conn.execute(
        "insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail, stack) values (%s, 'h', 1, 'loop_blocked', %s, 'it sleeps', 'File <shop>')",
        (world["worker"], [world["running"]]),
    )

    for path in ("/workers", f"/workers/{world['worker']}"):
        shown = await text(browse, path)
        assert 'data-state="stuck"' in shown
        assert "loop_blocked" in shown

    assert "File &lt;shop&gt;" in shown
    assert f"/jobs/{world['running']}" in shown.partition("What was seen of it")[2]


async def test_a_limit_shows_its_holders_and_its_line(conn: Any, browse: Browse) -> None:
    conn.execute("select pgqueue.set_limit('gpu', concurrency => 1, rate => 5)")
    jobs = enqueue_many(conn, [{"task": "t", "queue": "q", "limits": {"gpu": {"key": "a"}}} for _ in range(3)])
    held = Worker(conn, queues=["q"], tasks=["t"]).step(3, queue="q").leases

    shown = await text(browse, "/limits")
    assert "1 at a time, 5 per 1s" in shown

    for path in ("/limits/gpu", "/limits/gpu?key=a"):
        one = await text(browse, path)
        holders, line = one.partition("Who stands in line")[::2]
        assert f"/jobs/{held[0].id}" in holders
        assert [job for job in jobs if f"/jobs/{job}" in line] == [job for job in jobs if job != held[0].id]
    assert f"/jobs/{held[0].id}" not in await text(browse, "/limits/gpu?key=b")


async def test_a_queue_shows_how_it_deals(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    conn.execute("select pgqueue.set_queue('mail', fair => true, aging => '1 min')")
    conn.execute("select pgqueue.set_share('mail', 'tenant-1', 5)")
    conn.execute("select pgqueue.pause('mail')")

    shown = await text(browse, "/queues/mail")

    for piece in ("by key", "tenant-1=5", "1m of waiting", 'data-state="paused"', "host-1"):
        assert piece in shown, piece


async def test_a_queue_shows_its_groups(conn: Any, browse: Browse) -> None:
    jobs = enqueue_many(conn, [{"task": "t", "queue": "q", "group_key": "group-1"} for _ in range(3)])
    Worker(conn, queues=["q"], tasks=["t"]).step(1, queue="q")

    shown = (await text(browse, "/queues/q")).partition("Groups and shares")[2]

    assert "group-1" in shown
    assert f"/jobs/{jobs[0]}" in shown


async def test_queues_with_odd_names_have_pages(conn: Any, browse: Browse) -> None:
    for name in ("a/b", "a b", "ä?x=1", "pause", "100%"):
        enqueue(conn, queue=name)
        href = (await browse().get("/queues")).text
        assert f">{name}</a>" in href
        address = next(
            part.partition('"')[0] for part in href.split('href="/queues/')[1:] if f">{name}</a>" in part[:200]
        )
        assert f"<h1>Queue {name}" in await text(browse, f"/queues/{address}")


async def test_a_queue_shows_what_became_of_its_tasks(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    for _ in range(100):  # a window at a time, from a day ago on
        conn.execute("select pgqueue.fold_statistics('0'::interval)")
        if scalar(conn, "select exists (select from pgqueue.statistics)"):
            break

    shown = (await text(browse, "/queues/mail")).partition("Tasks, last hour")[2]

    row = shown.partition("</tr>")[2].partition("</tr>")[0]
    assert "task=send" in row
    assert '<td class="num">1</td><td class="num">1</td><td class="num">2</td>' in row  # succeeded, failed, dead


async def test_a_job_shows_what_its_attempts_logged(conn: Any, world: dict[str, Any], browse: Browse) -> None:
    lines = [
        {
            "at": "2026-11-22T08:00:00Z",
            "level": "warning",
            "logger": "shop",
            "message": "half <way>",
            "fields": {"n": 7},
        },
        {"left_out": 12},
        {
            "at": "2026-11-22T08:00:01Z",
            "level": "error",
            "logger": "shop",
            "message": "gone",
            "exception": "Boom: <b>",
            "cut": True,
        },
    ]
    conn.execute(
        "insert into pgqueue.attempt_lines (job_id, logged_at, attempt, lines) values (%s, now(), 1, %s::jsonb)",
        (world["dead"], json.dumps(lines)),
    )

    shown = await text(browse, f"/jobs/{world['dead']}")
    for piece in ("half &lt;way&gt;", "12 lines were left out", "Boom: &lt;b&gt;", "warning"):
        assert piece in shown, piece

    assert "half" not in await text(browse, f"/jobs/{world['dead']}", "viewer")
