"""When a schedule ticks: cron expressions by the clock of a place, and even distances. I/O-free; instants are in UTC.

cronsim reads the expression and finds its next time on a clock without a zone; where that clock jumps is decided here.

**Nights when clocks change.** As in Debian's cron, it depends on whether the minute or hour field begins with `*`.

- It does (`*/15 * * * *`, `0 */2 * * *`): the schedule follows the clock. It ticks whenever the clock shows a time that
  matches: twice in an hour that comes twice, not at all in one that is left out.
- It does not (`30 2 * * *`): each matching time of each day ticks once. One that the clock leaves out ticks at the
  first moment after the jump (02:30 in Berlin, on the night when 01:59 is followed by 03:00, ticks at 03:00; several
  such times are one tick). One that comes twice ticks the first time only.

Both are exact for any jump, whatever its size and its hour (Lord Howe Island moves by 30 minutes).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from pgqueue.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# A tick that is found so much later is not missed: a deployment, a failover, a busy worker.
GRACE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


class Timing(Protocol):
    """An endless row of instants."""

    def after(self, instant: datetime) -> datetime:
        """Return the first tick later than the instant."""
        ...


class Cron:
    """A cron expression by the clock of a place."""

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        """Raises InvalidArgument for what is no expression, never ticks, or names no time zone."""
        self.expression = expression
        self.timezone = timezone
        self._zone = _zone(timezone)
        self._fields = ALIASES.get(expression.strip().lower(), expression)
        parts = self._fields.split()
        if len(parts) != 5:
            raise InvalidArgument(
                f'cron "{expression}": must have five fields (minute hour day month weekday), or be one of '
                f"{', '.join(ALIASES)}; for seconds there is every"
            )
        self._follows_clock = parts[0].startswith("*") or parts[1].startswith("*")
        try:
            self._parsed = CronSim(self._fields, datetime(2000, 1, 1))  # noqa: DTZ001 - a clock without a zone
            self._next_shown(self._parsed.dt)
        except CronSimError as error:
            raise InvalidArgument(f'cron "{expression}": {error}') from None
        except (AssertionError, ValueError, IndexError) as error:  # what some nonsense does to its parser
            raise InvalidArgument(f'cron "{expression}": cannot be read ({type(error).__name__})') from None

    def after(self, instant: datetime) -> datetime:
        """Return the first tick later than the instant."""
        return self._follow(instant) if self._follows_clock else self._once_a_day(instant)

    def _once_a_day(self, instant: datetime) -> datetime:
        # Each shown time has one instant: its first, or the end of the gap that swallowed it. That instant never goes
        # down as the shown time goes up, and is not after `instant` for any time up to the one shown now; so the search
        # begins there, and the first instant that is later is the answer.
        shown = instant.astimezone(self._zone).replace(tzinfo=None)
        while True:
            shown = self._next_shown(shown)
            found = self._first_instant(shown)
            if found > instant:
                return found

    def _first_instant(self, shown: datetime) -> datetime:
        """When a clock in the zone shows this for the first time; if it never does, when it jumps over it."""
        found = shown.replace(tzinfo=self._zone).astimezone(UTC)
        if found.astimezone(self._zone).replace(tzinfo=None) == shown:
            return found
        before = shown.replace(tzinfo=self._zone, fold=1).astimezone(UTC)  # read by the offset after the gap
        jump = self._jump(before, found)
        return found if jump is None else jump

    def _follow(self, instant: datetime) -> datetime:
        # Between two jumps the clock runs evenly: there the next shown time gives the next instant. A jump on the way
        # ends that stretch, and the search goes on with what the clock shows right after it.
        start, shown = instant, instant.astimezone(self._zone).replace(tzinfo=None)
        while True:
            offset = self._offset(start)
            found = (self._next_shown(shown) - offset).replace(tzinfo=UTC)
            jump = self._jump(start, found)
            if jump is None:
                return found
            start, shown = jump, jump.astimezone(self._zone).replace(tzinfo=None) - _SECOND  # the jump itself counts

    def _jump(self, start: datetime, end: datetime) -> datetime | None:
        """Return the first instant in (start, end] with another offset than the one before it."""
        while start < end:
            step = min(start + _DAY, end)
            if self._offset(step) != self._offset(start):
                return self._bisected(start, step)
            start = step
        return None

    def _bisected(self, start: datetime, end: datetime) -> datetime:
        low, high = (int((side - EPOCH) / _SECOND) for side in (start, end))  # zones change at whole seconds
        before = self._offset(start)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(EPOCH + middle * _SECOND) == before else (low, middle)
        return EPOCH + high * _SECOND

    def _offset(self, instant: datetime) -> timedelta:
        return instant.astimezone(self._zone).utcoffset() or timedelta(0)

    def _next_shown(self, shown: datetime) -> datetime:
        search = copy(self._parsed)  # parsing costs ten times as much as looking
        search.dt = shown.replace(microsecond=0)
        try:
            return next(search)
        except (StopIteration, OverflowError):
            raise InvalidArgument(f'cron "{self.expression}": there is no such time in 50 years') from None


class Every:
    """Even distances, counted from 1970-01-01 00:00 UTC, so that every worker finds the same."""

    def __init__(self, distance: timedelta) -> None:
        """Raises InvalidArgument."""
        if distance < _SECOND:
            raise InvalidArgument(f"every: must be at least a second, got {distance}")
        self.distance = distance

    def after(self, instant: datetime) -> datetime:
        """Return the first tick later than the instant."""
        return EPOCH + ((instant - EPOCH) // self.distance + 1) * self.distance


@lru_cache(maxsize=4096)
def timing(cron: str | None, every: timedelta | None, timezone: str) -> Timing:
    """Make the timing of a schedule. Raises InvalidArgument."""
    if cron is not None:
        return Cron(cron, timezone)
    return Every(every or timedelta(0))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about a schedule now: ticks to make jobs of, oldest first, and where it goes on."""

    ticks: tuple[datetime, ...]
    next_at: datetime
    missed: bool = False  # whether some tick before the last due one was nobody's, or the last one came late


def plan(times: Timing, first: datetime, now: datetime, *, missed: str, limit: int, batch: int) -> Plan:
    """Decide what becomes of the ticks from `first`, the first that nobody has made, to `now`.

    The last due one is missed when it is later than GRACE, those before it always are. `skip` makes jobs of none that
    is missed, `once` of the last due one, `all` of the last `limit`, at most `batch` of them at a time.
    """
    if first > now:
        return Plan((), first)
    due = _last(times, first, now, limit if missed == "all" else 1)
    late = due[-1] > first or now - due[-1] > GRACE
    if missed == "skip" and now - due[-1] > GRACE:
        return Plan((), times.after(now), missed=True)
    if len(due) > batch:
        return Plan(tuple(due[:batch]), due[batch], missed=late)
    return Plan(tuple(due), times.after(max(now, due[-1])), missed=late)


def _last(times: Timing, first: datetime, now: datetime, count: int) -> list[datetime]:
    """Return the last `count` ticks in [first, now], oldest first. Looks back in windows that double: a schedule which
    stood still for a year is not walked through when a few ticks are wanted.
    """
    window = timedelta(hours=1)
    while now - window > first:
        found = list(_between(times, now - window, now))
        if len(found) >= count:
            return found[-count:]
        window *= 2
    return [first, *_between(times, first, now)][-count:]


def _between(times: Timing, after: datetime, until: datetime) -> Iterator[datetime]:
    at = times.after(after)
    while at <= until:
        yield at
        at = times.after(at)


@lru_cache(maxsize=512)
def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # not found, a folder, no name of a file at all
        raise InvalidArgument(
            f'timezone "{name}": is not known here; write a name such as Europe/Berlin (the data comes with the system '
            "or the package tzdata)"
        ) from None
