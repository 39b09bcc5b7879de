"""Cron expressions tick when they should: a year in three places against a reference that shares nothing with them.

The reference walks every UTC minute of the year and looks at the clock on the wall. **The rule**, as in Debian's cron:

- minute or hour field begins with `*`: every minute whose clock matches is a tick, twice in an hour that comes twice;
- else: a matching time ticks the first time that the clock shows it; one that the clock jumps over ticks at the first
  minute after the jump.

It finds jumps by looking at two minutes side by side, and knows no offsets, folds or transitions.
"""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from pgqueue.cron import GRACE, Cron, Every, plan, timing
from pgqueue.errors import InvalidArgument

MINUTE = timedelta(minutes=1)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
TOTALS = {"Europe/Berlin": 64_033, "America/New_York": 63_978, "Australia/Lord_Howe": 64_004}
ZONES = list(TOTALS)
EXPRESSIONS = [
    "30 2 * * *",  # swallowed in spring, shown twice in autumn (Berlin)
    "0 2 * * *",
    "45 1 * * *",  # shown twice in autumn (New York, Lord Howe)
    "0,30 2 * * *",
    "15 1,2,3 * * *",
    "10-50/20 1-3 * * *",
    "59 1 * * *",
    "0 3 * * 0",
    "5 2 1,15 * *",
    "15 2 29 * 0",  # day and weekday both restricted: either will do
    "0 9 * * 1-5",
    "59 23 31 12 *",
    "0 0 1 */3 *",
    "*/15 * * * *",
    "0 * * * *",
    "20 */2 * * *",
    "*/20 2 * * *",
    "*/7 1 * * 0",
    "* 2 * 3-4,10-11 *",
]


@cache
def walls(zone: str) -> list[datetime]:
    """What a clock in the zone shows at each UTC minute of the year, from a day before it."""
    place = ZoneInfo(zone)
    count = (END - START + timedelta(days=1)) // MINUTE
    return [
        (START - timedelta(days=1) + n * MINUTE).astimezone(place).replace(tzinfo=None, fold=0) for n in range(count)
    ]


def numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


class Reference:
    """An expression, field by field."""

    def __init__(self, expression: str) -> None:
        minute, hour, day, month, weekday = expression.split()
        self.follows_clock = minute.startswith("*") or hour.startswith("*")
        self._both = day.startswith("*") or weekday.startswith("*")
        self._minutes, self._hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
        self._days, self._months = numbers(day, 1, 31), numbers(month, 1, 12)
        self._weekdays = {n % 7 for n in numbers(weekday, 0, 7)}
        self._seen: dict[date, bool] = {}

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self._minutes or wall.hour not in self._hours:
            return False
        today = wall.date()
        if today not in self._seen:
            by_day, by_weekday = today.day in self._days, today.isoweekday() % 7 in self._weekdays
            fits = (by_day and by_weekday) if self._both else (by_day or by_weekday)
            self._seen[today] = fits and today.month in self._months
        return self._seen[today]

    def ticks(self, zone: str) -> list[datetime]:
        shown = every_showing(zone) if self.follows_clock else first_showings(zone)
        times = ((hour, minute) for hour in self._hours for minute in self._minutes)
        hits = {now for time in times for now, wall in shown.get(time, ()) if self.matches(wall)}
        return sorted(now for now in hits if now >= START)


Showings = dict[tuple[int, int], list[tuple[datetime, datetime]]]  # by hour and minute: when, and what with its date


@cache
def every_showing(zone: str) -> Showings:
    found: Showings = {}
    for n, wall in enumerate(walls(zone)):
        found.setdefault((wall.hour, wall.minute), []).append((START - timedelta(days=1) + n * MINUTE, wall))
    return found


@cache
def first_showings(zone: str) -> Showings:
    """When each time is shown first; one that is jumped over, at the first minute after the jump."""
    found: Showings = {}
    latest = walls(zone)[0]
    for n, wall in enumerate(walls(zone)):
        while latest < wall:
            latest += MINUTE
            found.setdefault((latest.hour, latest.minute), []).append((START - timedelta(days=1) + n * MINUTE, latest))
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_of_ticks_is_that_of_the_reference(zone: str) -> None:
    total = 0
    for expression in EXPRESSIONS:
        expected = Reference(expression).ticks(zone)
        cron = Cron(expression, zone)

        found, at = [], cron.after(START - timedelta(microseconds=1))
        while at < END:
            found.append(at)
            at = cron.after(at)

        assert found == expected, (expression, sorted(set(found) ^ set(expected))[:5])
        total += len(found)
        print(f"{zone}: {expression:<22} {len(found):>6} ticks")
    print(f"{zone}: {total} ticks in {START.year}, all as the reference says")
    assert total == TOTALS[zone]


@pytest.mark.parametrize("zone", ZONES)
def test_every_minute_around_the_jumps(zone: str) -> None:
    jumps = [n for n in range(1, len(walls(zone))) if walls(zone)[n] - walls(zone)[n - 1] != MINUTE]
    assert len(jumps) == 2
    for expression in ("* * * * *", "0-59 0-23 * * *"):
        expected = set(Reference(expression).ticks(zone))
        cron = Cron(expression, zone)
        for n in jumps:
            at = begin = START - timedelta(days=1) + (n - 300) * MINUTE
            while (at := cron.after(at)) < begin + 600 * MINUTE:
                assert at in expected
                expected.discard(at)
            assert not [tick for tick in expected if begin < tick < begin + 600 * MINUTE]


@pytest.mark.parametrize("zone", ZONES)
def test_the_next_tick_is_the_same_from_wherever_one_asks(zone: str) -> None:
    for expression in ("30 2 * * *", "0,30 2 * * *", "*/20 2 * * *", "45 1 * * *"):
        cron, expected = Cron(expression, zone), Reference(expression).ticks(zone)
        for place, tick in enumerate(expected[:-1]):
            following = expected[place + 1]
            for instant in (tick, tick + (following - tick) / 3, following - timedelta(microseconds=1)):
                assert cron.after(instant) == following


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_a_nightly_time_on_the_nights_that_it_is_not_there_or_there_twice() -> None:
    nightly = Cron("30 2 * * *", "Europe/Berlin")

    assert nightly.after(utc(2026, 3, 28, 12)) == utc(2026, 3, 29, 1)  # 03:00, the first moment after the jump
    assert nightly.after(utc(2026, 3, 29, 1)) == utc(2026, 3, 30, 0, 30)
    assert nightly.after(utc(2026, 10, 24, 12)) == utc(2026, 10, 25, 0, 30)  # the first 02:30
    assert nightly.after(utc(2026, 10, 25, 0, 45)) == utc(2026, 10, 26, 1, 30)  # asked between the two


def test_a_day_that_a_place_left_out() -> None:
    # Apia had no 30 December: midnight after the 29th was that before the 31st.
    assert Cron("0 12 * * *", "Pacific/Apia").after(utc(2011, 12, 30, 5)) == utc(2011, 12, 30, 10)
    assert Cron("0 * * * *", "Pacific/Apia").after(utc(2011, 12, 30, 9, 30)) == utc(2011, 12, 30, 10)


def test_aliases_and_the_extras_of_cronsim() -> None:
    assert Cron("@daily").after(utc(2026, 5, 5, 5)) == utc(2026, 5, 6)
    assert Cron("@Hourly", "Asia/Kolkata").after(utc(2026, 5, 5, 5)) == utc(2026, 5, 5, 5, 30)
    assert Cron("0 0 L * *").after(utc(2028, 2, 1)) == utc(2028, 2, 29)
    assert Cron("0 8 * * MON#1").after(utc(2026, 11, 22)) == utc(2026, 12, 7, 8)
    assert Cron("0 0 29 2 *").after(utc(2096, 3, 1)) == utc(2104, 2, 29)


@pytest.mark.parametrize(
    ("cron", "timezone", "said"),
    [
        ("* * * *", "UTC", "five fields"),
        ("0 0 0 * * *", "UTC", "for seconds there is every"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("*/0 * * * *", "UTC", "Bad minute"),
        ("0 0 * * L/2", "UTC", "day-of-week|cannot be read"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("", "UTC", "five fields"),
        ("@never", "UTC", "five fields"),
        ("0 0 * * *", "Europe/Nowhere", "not known"),
        ("0 0 * * *", "../../etc/passwd", "not known"),
        ("0 0 * * *", "Europe", "not known"),
        ("0 0 * * *", "", "not known"),
        ("0 0 * * *", "a\0b", "not known"),
    ],
)
def test_what_cannot_be_meant_is_refused(cron: str, timezone: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        timing(cron, None, timezone)


def test_distances_are_counted_from_the_epoch_exactly() -> None:
    assert Every(timedelta(minutes=15)).after(utc(2026, 5, 5, 5, 7)) == utc(2026, 5, 5, 5, 15)
    assert Every(timedelta(minutes=15)).after(utc(2026, 5, 5, 5, 15)) == utc(2026, 5, 5, 5, 30)
    odd = Every(timedelta(seconds=1, microseconds=1))
    assert odd.after(odd.after(utc(2026, 1, 1))) - odd.after(utc(2026, 1, 1)) == odd.distance
    with pytest.raises(InvalidArgument, match="at least a second"):
        timing(None, timedelta(milliseconds=999), "UTC")


HOURLY = Cron("0 * * * *")
FIRST = utc(2026, 5, 5, 1)


@pytest.mark.parametrize(
    ("now", "missed", "limit", "hours", "next_hour"),
    [
        (utc(2026, 5, 5, 0, 59), "once", 100, [], 1),
        (FIRST, "skip", 100, [1], 2),
        (FIRST + GRACE, "skip", 100, [1], 2),
        (FIRST + GRACE + timedelta(seconds=1), "skip", 100, [], 2),
        (FIRST + GRACE + timedelta(seconds=1), "once", 100, [1], 2),
        (utc(2026, 5, 5, 4, 30), "skip", 100, [], 5),
        (utc(2026, 5, 5, 4, 0, 30), "skip", 100, [4], 5),
        (utc(2026, 5, 5, 4, 30), "once", 100, [4], 5),
        (utc(2026, 5, 5, 4, 30), "all", 100, [1, 2, 3, 4], 5),
        (utc(2026, 5, 5, 4, 30), "all", 2, [3, 4], 5),
        (utc(2026, 5, 5, 9, 30), "all", 7, [3, 4, 5, 6, 7], 8),  # a batch of 5; the others come next
    ],
)
def test_what_becomes_of_ticks_that_were_missed(
    now: datetime, missed: str, limit: int, hours: list[int], next_hour: int
) -> None:
    made = plan(HOURLY, FIRST, now, missed=missed, limit=limit, batch=5)

    assert [tick.hour for tick in made.ticks] == hours
    assert made.next_at == utc(2026, 5, 5, next_hour)


def test_a_catch_up_in_batches_makes_each_tick_once_and_ends() -> None:
    every = Every(timedelta(seconds=1))
    now, at, found = FIRST + timedelta(seconds=1000), FIRST, []
    while at <= now:
        made = plan(every, at, now, missed="all", limit=950, batch=100)
        found += made.ticks
        at, now = made.next_at, now + timedelta(seconds=0.3)  # time goes on meanwhile

    assert len(found) == len(set(found)) >= 950
    assert found == sorted(found)
    assert [b - a for a, b in pairwise(found)] == [every.distance] * (len(found) - 1)


def test_a_schedule_that_stood_still_for_years_is_not_walked_through() -> None:
    made = plan(Cron("* * * * *"), utc(2001, 1, 1), utc(2026, 5, 5), missed="once", limit=1, batch=100)

    assert made.ticks == (utc(2026, 5, 5),)
    rare = plan(Cron("0 0 29 2 *"), utc(2004, 2, 29), utc(2026, 5, 5), missed="all", limit=100, batch=100)
    assert [tick.year for tick in rare.ticks] == [2004, 2008, 2012, 2016, 2020, 2024]
