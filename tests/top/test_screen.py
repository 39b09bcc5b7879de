"""The live view on a real database, driven by its keys."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from pgqueue.errors import DatabaseUnavailable
from tests.sql.engine import enqueue, state
from tests.support.waiting import wait_until_async

pytest.importorskip("textual", reason="textual is not installed: the extra top")

from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from pgqueue.top.screen import Confirm, Top

if TYPE_CHECKING:
    from pgqueue.top.source import Source

Conn = Any
HOSTILE = "[red]x\x1b[31m"


@pytest.fixture
def top(source: "Source") -> Top:
    return Top(source, interval_seconds=0.5, where="test")


def cells(top: Top, name: str) -> list[list[str]]:
    """What a table shows."""
    table: DataTable[Any] = top.query_one(f"#{name}", DataTable)
    return [[cell.plain for cell in table.get_row_at(place)] for place in range(table.row_count)]


def status(top: Top) -> str:
    return str(top.query_one("#status", Static).render())


async def until(pilot: Pilot[None], holds: Callable[[], Any]) -> Any:
    """Wait while the view goes on."""

    async def look() -> Any:
        await pilot.pause(0.05)
        return holds()

    waiting: Awaitable[Any] = wait_until_async(look)
    return await waiting


async def press_and_confirm(pilot: Pilot[None], key: str, answer: str = "y") -> None:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
    await pilot.press(answer)
    await until(pilot, lambda: not isinstance(pilot.app.screen, Confirm))


async def test_it_shows_queues_workers_running_jobs_and_dead_letters(top: Top, lived: dict[str, int]) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "queues"))

        queues = {row[0]: row for row in cells(top, "queues")}
        assert queues["default"][1:3] == ["1", "1"]
        assert queues["mail"][5] == "1"
        assert queues["[red]x\\x1b[31m (paused)"][1] == "1"
        assert [row[0:3] for row in cells(top, "running")] == [[str(lived["running"]), "t", "default"]]
        assert [(row[0], row[4]) for row in cells(top, "dead")] == [(str(lived["dead"]), "ValueError")]
        assert [row[3] for row in cells(top, "workers")] == ["alive"]
        assert "read in" in status(top)


@pytest.mark.slow
async def test_it_is_read_again_and_keeps_the_place(top: Top, lived: dict[str, int], conn: Conn) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "queues"))
        await pilot.press("down")
        place = top.query_one("#queues", DataTable).cursor_row
        name = cells(top, "queues")[place][0]

        enqueue(conn, queue="aaa")
        enqueue(conn, queue="AAA")
        await until(pilot, lambda: len(cells(top, "queues")) == 5)

        assert cells(top, "queues")[top.query_one("#queues", DataTable).cursor_row][0] == name


async def test_a_queue_is_paused_and_resumed_by_key(top: Top, lived: dict[str, int], conn: Conn) -> None:
    paused = "select paused from pgqueue.queues where queue = 'default'"

    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "queues"))
        top.query_one("#queues", DataTable).move_cursor(row=[row[0] for row in cells(top, "queues")].index("default"))

        await press_and_confirm(pilot, "p", "n")
        assert conn.execute(paused).fetchone() == (False,)
        await press_and_confirm(pilot, "p")
        await until(pilot, lambda: "default (paused)" in [row[0] for row in cells(top, "queues")])
        assert conn.execute(paused).fetchone() == (True,)
        await press_and_confirm(pilot, "p")
        await until(pilot, lambda: conn.execute(paused).fetchone() == (False,))


@pytest.mark.slow
async def test_a_queue_of_a_hostile_name_is_resumed(top: Top, lived: dict[str, int], conn: Conn) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "queues"))
        names = [row[0] for row in cells(top, "queues")]
        top.query_one("#queues", DataTable).move_cursor(row=names.index("[red]x\\x1b[31m (paused)"))

        await press_and_confirm(pilot, "p")

        query = "select paused from pgqueue.queues where queue = %s"
        await until(pilot, lambda: conn.execute(query, [HOSTILE]).fetchone() == (False,))


async def test_a_dead_letter_is_retried_by_key(top: Top, lived: dict[str, int], conn: Conn) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "dead"))
        await pilot.press("4")

        await press_and_confirm(pilot, "r", "n")
        assert state(conn, lived["dead"]) == "dead"
        await press_and_confirm(pilot, "r")

        await until(pilot, lambda: not cells(top, "dead"))
        assert state(conn, lived["dead"]) == "ready"


async def test_a_running_job_is_told_to_stop_by_key(top: Top, lived: dict[str, int], conn: Conn) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "running"))
        await pilot.press("3")

        await press_and_confirm(pilot, "c")

        asked = "select count(*) from pgqueue.cancel_requests where job_id = %s"
        await until(pilot, lambda: conn.execute(asked, [lived["running"]]).fetchone() == (1,))


async def test_rows_are_filtered_and_sorted(top: Top, lived: dict[str, int]) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: len(cells(top, "queues")) == 3)

        await pilot.press("slash", *"mai", "enter")
        await until(pilot, lambda: [row[0] for row in cells(top, "queues")] == ["mail"])
        assert cells(top, "running") == []
        assert 'filter "mai"' in status(top)
        await pilot.press("escape")
        await until(pilot, lambda: len(cells(top, "queues")) == 3)
        assert top.query_one("#filter", Input).value == ""
        await pilot.press(*"sssss")
        await until(pilot, lambda: cells(top, "queues")[0][0] == "mail")
        assert "by dead" in status(top)


async def test_a_lost_database_is_said_and_found_again(
    top: Top, source: "Source", lived: dict[str, int], conn: Conn, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = source._dsn
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "read in" in status(top))

        source._dsn = "host=127.0.0.1 port=1 user=nobody connect_timeout=1"
        terminate = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgq top'"
        conn.execute(f"{terminate} and datname = current_database()")
        await until(pilot, lambda: "NO ANSWER" in status(top))
        assert len(cells(top, "queues")) == 3
        source._dsn = dsn
        await until(pilot, lambda: "read in" in status(top))


@pytest.mark.slow
async def test_an_error_of_the_server_is_said_and_the_view_goes_on(top: Top, lived: dict[str, int], conn: Conn) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "read in" in status(top))
        conn.execute("alter schema pgqueue rename to away")
        await until(pilot, lambda: "NO ANSWER" in status(top))
        conn.execute("alter schema away rename to pgqueue")
        await until(pilot, lambda: "read in" in status(top))


async def test_no_contents_are_on_the_screen(top: Top, lived: dict[str, int]) -> None:
    async with top.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: cells(top, "dead"))

        shown = str([cells(top, name) for name in ("queues", "workers", "running", "dead")])
        assert "secret-of-the-job" not in shown


def test_a_source_that_lost_its_connection_says_so(source: "Source", conn: Conn) -> None:
    source.read()
    source._dsn = "host=127.0.0.1 port=1 user=nobody"
    source._conn and source._conn.close()

    with pytest.raises(DatabaseUnavailable):
        source.read()
