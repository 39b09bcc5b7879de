"""Where a page of a list begins and ends, in one table and in several. No database."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from pgqueue.errors import InvalidArgument
from pgqueue.job import State
from pgqueue.listing.filters import Filters
from pgqueue.listing.jobs import find
from pgqueue.listing.paging import TOP, Cursor, Sheet, lay_out

SIZE = 3


class Table:
    """Ids that a walk finds, of those some fit, as the statements do it."""

    def __init__(self, ids: Sequence[int], fits: Sequence[int] | None = None, window: int = 100) -> None:
        self.ids = list(ids)
        self.fits = set(ids if fits is None else fits)
        self.window = window

    def walk(self, at: int, *, up: bool) -> list[dict[str, Any]]:
        on = sorted((each for each in self.ids if (each > at if up else each < at)), reverse=not up)[: self.window]
        rows = [{"id": each, "hit": each in self.fits, "ended": n == self.window} for n, each in enumerate(on, 1)]
        return [row for row in rows if row["hit"] or row["ended"]][: SIZE + 1]


def ask(tables: Sequence[Table], cursor: Cursor) -> Sheet:
    found = [table.walk(at, up=cursor.up) for table, at in zip(tables, cursor.positions, strict=True)]
    return lay_out(found, cursor, size=SIZE)


def ids(sheet: Sheet) -> list[int]:
    return [row["id"] for row in sheet.rows]


def all_pages(tables: Sequence[Table]) -> list[list[int]]:
    pages = []
    cursor: Cursor | None = Cursor.start(len(tables))
    while cursor is not None:
        sheet = ask(tables, cursor)
        pages.append(ids(sheet))
        cursor = sheet.older
    return pages


def test_pages_of_several_tables_are_those_of_one() -> None:
    tables = [Table([1, 5, 6, 9, 12]), Table([2, 3, 4, 11]), Table([])]

    assert all_pages(tables) == [[12, 11, 9], [6, 5, 4], [3, 2, 1]]


def test_a_way_back_meets_the_pages_of_the_way_there() -> None:
    tables = [Table([1, 5, 6, 9, 12]), Table([2, 3, 4, 11]), Table([7, 8])]
    first = ask(tables, Cursor.start(3))
    second = ask(tables, first.older)  # type: ignore[arg-type]
    third = ask(tables, second.older)  # type: ignore[arg-type]

    back = ask(tables, third.newer)  # type: ignore[arg-type]

    assert ids(back) == ids(second)
    assert ids(ask(tables, back.older)) == ids(third)  # type: ignore[arg-type]


def test_what_comes_meanwhile_moves_no_page() -> None:
    table = Table(range(1, 10))
    second = ask([table], ask([table], Cursor.start(1)).older)  # type: ignore[arg-type]
    table.ids += [10, 11]
    table.fits |= {10, 11}

    assert ids(ask([table], second.older)) == [3, 2, 1]  # type: ignore[arg-type]
    assert ids(ask([table], second.newer)) == [9, 8, 7]  # type: ignore[arg-type]


def test_a_walk_that_finds_little_goes_on_where_it_ended() -> None:
    tables = [Table(range(1, 101), fits=[3, 50], window=10), Table([40, 45])]
    pages = all_pages(tables)

    assert sorted((job for page in pages for job in page), reverse=True) == [50, 45, 40, 3]
    assert ask(tables, Cursor.start(2)).searched
    assert ids(ask(tables, Cursor.start(2))) == [45, 40]  # of the table that was seen as a whole


def test_the_last_id_says_where_to_go_on_when_all_tables_were_looked_at_down_to_it() -> None:
    seen = ask([Table(range(11, 20)), Table(range(1, 9), fits=[], window=2)], Cursor.start(2))
    unseen = ask([Table(range(11, 20), fits=[], window=2), Table(range(1, 9))], Cursor.start(2))

    assert (ids(seen), seen.is_level) == ([19, 18, 17], True)
    assert (ids(unseen), unseen.is_level) == ([8, 7, 6], False)
    for sheet, wanted in ((seen, [16, 15, 14]), (unseen, [5, 4, 3])):
        assert ids(ask([Table(range(11, 20), fits=range(11, 20) if sheet is seen else []), Table(range(1, 9))],
                       Cursor.read(str(sheet.older), None, tables=2)))[:3] == wanted  # fmt: skip


@pytest.mark.parametrize(("state", "window"), [(State.READY, 24_000), (State.RUNNING, 100)])
def test_what_runs_at_the_front_of_many_lines_hides_no_ready_job(state: State, window: int) -> None:
    search = find(Filters(states=(state,)), size=50, now=datetime.now(UTC), older=None, newer=None)

    assert next(search)[0] == "lines"
    name, params = search.send([{"pairs": 400}])

    assert (name, params["window"]) == ("jobs_line", window)


def test_a_single_id_stands_for_every_table() -> None:
    assert Cursor.read("7", None, tables=3) == Cursor((7, 7, 7))
    assert str(Cursor.start(2)) == "top.top"


def test_the_way_up_ends_at_the_top() -> None:
    tables = [Table(range(1, 6))]

    sheet = ask(tables, Cursor((2,), up=True))

    assert ids(sheet) == [5, 4, 3]
    assert sheet.is_at_top


@pytest.mark.parametrize("written", ["x", "1.2", "-1", "1" * 30, "١"])
def test_a_cursor_from_nowhere_is_refused(written: str) -> None:
    with pytest.raises(InvalidArgument):
        Cursor.read(written, None, tables=1)


def test_a_cursor_is_read_as_it_was_written() -> None:
    cursor = Cursor((7, TOP), up=True)

    assert Cursor.read(None, str(cursor), tables=2) == cursor
