"""What happens each night: the sales of the day that ended are summed, at half past two by the clock of Berlin.

Fast-forwarded through a month in which the clocks change: on one night half past two does not exist, or comes twice.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pgqueue.demo.checks import Check
from pgqueue.demo.company import app, connections
from pgqueue.demo.stage import Chapter
from pgqueue.keeper.ticking import fast_forward

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from pgqueue import Context
    from pgqueue.demo.stage import Stage

ZONE = "Europe/Berlin"
NAME = "daily sales"
TABLES = """
create table demo.sales (at timestamptz primary key, amount numeric not null);
-- No unique key: a day that were summed twice would show.
create table demo.daily_sales (
  day date not null, sales bigint not null, amount numeric not null, tick timestamptz not null);
"""


@app.schedule("30 2 * * *", timezone=ZONE, name=NAME, missed="all")
@app.task(queue="nights")
async def sum_sales(ctx: Context) -> None:
    """Sum the sales of the day before, from midnight to midnight in Berlin: 23, 24 or 25 hours."""
    tick = datetime.fromisoformat(ctx.job.meta["tick"])
    day = tick.astimezone(ZoneInfo(ZONE)).date() - timedelta(days=1)
    await connections().open()
    async with connections().connection() as conn:
        await conn.execute(
            """
            insert into demo.daily_sales
            select %(day)s, count(*), coalesce(sum(amount), 0), %(tick)s from demo.sales
            where at >= %(day)s::timestamp at time zone %(zone)s
              and at < (%(day)s + 1)::timestamp at time zone %(zone)s""",
            {"day": day, "tick": tick, "zone": ZONE},
        )
        await ctx.complete(conn)


# The chapter.

NIGHTS = 31
_SCHEDULE = "select 1 from pgqueue.schedules where name = %s"
_SET_CLOCK = "update pgqueue.job_schedules set since = %s, next_at = null where name = %s"
_DONE = "select count(*) from demo.daily_sales"

WITNESSES = """
create table demo.calendar (day date primary key, changes boolean not null);
"""

CHECKS = (
    Check(
        "Each night of a month had one job, and each day's sales were summed once, the day of 23 or 25 hours too",
        """
        select count(*) > 0 and bool_and(coalesce(s.times = 1 and s.sales = d.hours and s.amount = d.amount, false))
                 and bool_or(d.hours <> 24) and count(*) = (select count(*) from pgqueue.jobs where queue = 'nights'),
               format('%s nights, %s sums; %s has %s hours, its sum %s sales; ticks that night: %s',
                      count(*), sum(s.times), max(d.day) filter (where changes), max(d.hours) filter (where changes),
                      max(s.sales) filter (where changes),
                      (select string_agg(to_char(tick at time zone 'Europe/Berlin', 'HH24:MI'), ', ')
                       from demo.daily_sales n where n.day = max(d.day) filter (where changes) - 1))
        from (select c.day, c.changes, count(v.at) as hours, sum(v.amount) as amount
              from demo.calendar c
              left join demo.sales v on (v.at at time zone 'Europe/Berlin')::date = c.day group by 1, 2) d
        left join (select day, count(*) as times, min(sales) as sales, min(amount) as amount
                   from demo.daily_sales group by 1) s using (day)""",
    ),
)


class Nights(Chapter):
    """Fills a month with a sale in each hour, and lets the nights come."""

    tables = (TABLES, WITNESSES)
    checks = CHECKS

    def __init__(self, stage: Stage) -> None:
        """Find the month."""
        super().__init__(stage)
        change = change_after(datetime.now(UTC).date())
        self._days = [change + timedelta(days=offset) for offset in range(-NIGHTS // 2, NIGHTS // 2)]
        self._change = change
        self._forwarded = False

    def open(self, servers: ExitStack) -> Mapping[str, str]:
        """Write the calendar, and the sales."""
        self.stage.put("insert into demo.calendar values (%s, %s)", [[day, day == self._change] for day in self._days])
        self.stage.conn.execute(
            """
            insert into demo.sales
            select at, 1 + extract(epoch from at)::bigint / 3600 %% 97 from demo.calendar,
              generate_series(day::timestamp at time zone %(zone)s,
                              (day + 1)::timestamp at time zone %(zone)s - interval '1 s', interval '1 h') at""",
            {"zone": ZONE},
        )
        return super().open(servers)

    def begin(self) -> None:
        """Say what comes; the workers declare the schedule when they start."""
        self.stage.show.say(
            f'nights: "{NAME}", 30 2 * * * in {ZONE}, from {self._days[0]} on; the clocks change on {self._change}'
        )

    def go_on(self) -> bool:
        """Fast-forward when the schedule is there; then look how many nights are done."""
        if not self._forwarded:
            self._forwarded = self._forward()
            return True
        (done,) = self.stage.ask(_DONE)
        self.stage.show.bar("nights", done, NIGHTS)
        return bool(done < NIGHTS)

    def _forward(self) -> bool:
        conn, schema = self.stage.conn, self.stage.made.schema
        if self.stage.ask(_SCHEDULE, [NAME]) is None:
            return False
        first = datetime.combine(self._days[1], datetime.min.time(), ZoneInfo(ZONE))  # sums the day before
        last = datetime.combine(self._days[-1] + timedelta(days=1), datetime.min.time(), ZoneInfo(ZONE))
        self.stage.execute(_SET_CLOCK, [first, NAME])
        jobs = fast_forward(conn, schema, last + timedelta(hours=12))
        self.stage.show.say(f"nights: {jobs} nights passed in an instant, a job each")
        return True


def change_after(day: date) -> date:
    """The next day on which the clocks of Berlin change."""
    zone = ZoneInfo(ZONE)
    noon = datetime.combine(day, datetime.min.time(), zone) + timedelta(hours=12)
    while (noon + timedelta(days=1)).utcoffset() == noon.utcoffset():
        noon += timedelta(days=1)
    return (noon + timedelta(days=1)).date()
