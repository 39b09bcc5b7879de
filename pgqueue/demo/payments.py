"""Orders that are paid: reserve the goods, charge the card, book a courier; whatever fails, what was done is undone.

Each order is a saga. A step and what undoes it are tasks; undoing runs in the reverse order, and is tried again like
any other job.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pgqueue import Discard, Exponential, saga
from pgqueue.demo.checks import Check
from pgqueue.demo.company import app, connections
from pgqueue.demo.stage import Chapter

if TYPE_CHECKING:
    from psycopg import Connection

    from pgqueue import Context

TABLES = """
create table demo.purchases (id integer primary key, amount numeric not null, address text not null);
-- Who got and gave what, in the order in which it happened. No unique key: a card that were charged twice would show.
create table demo.ledger (
  id bigint generated always as identity primary key, purchase_id integer not null, entry text not null,
  goods integer not null, money numeric not null);
"""


def buy(conn: Connection[Any], purchase: int) -> int:
    """Enqueue the saga of a purchase, in the transaction of `conn`; returns the number of the flow."""
    return (
        saga(
            (reserve.job(purchase), release.job(purchase)),
            (charge.job(purchase), refund.job(purchase)),
            (book_courier.job(purchase), None),
            name=f"purchase {purchase}",
        )
        .enqueue(conn=conn)
        .id
    )


@app.task(queue="payments")
async def reserve(ctx: Context, purchase: int) -> None:
    """Take the goods from the shelf."""
    await _enter(ctx, purchase, "reserve", goods=-1)


@app.task(queue="payments")
async def release(ctx: Context, purchase: int) -> None:
    """Put the goods back."""
    await _enter(ctx, purchase, "release", goods=1)


@app.task(queue="payments")
async def charge(ctx: Context, purchase: int) -> None:
    """Take the money."""
    await _enter(ctx, purchase, "charge", paid=1)


@app.task(queue="payments", backoff=Exponential(first=timedelta(milliseconds=200)))
async def refund(ctx: Context, purchase: int) -> None:
    """Give the money back; the bank does not answer at first."""
    if ctx.attempt == 1:
        raise ConnectionError("the bank did not answer")
    await _enter(ctx, purchase, "refund", paid=-1)


@app.task(queue="payments")
async def book_courier(ctx: Context, purchase: int) -> None:
    """Have the goods brought to the address, which may be nowhere."""
    await connections().open()
    async with connections().connection() as conn:
        found = await conn.execute("select address from demo.purchases where id = %s", [purchase])
        row = await found.fetchone()
    if row is None or row[0] == NOWHERE:
        raise Discard(f"purchase {purchase}: no courier goes there")
    await _enter(ctx, purchase, "courier")


async def _enter(ctx: Context, purchase: int, entry: str, *, goods: int = 0, paid: int = 0) -> None:
    """Enter it into the ledger, and end the job in the same transaction: once, whoever dies meanwhile."""
    await connections().open()
    async with connections().connection() as conn:
        await conn.execute(
            "insert into demo.ledger (purchase_id, entry, goods, money) select id, %s, %s, amount * %s "
            "from demo.purchases where id = %s",
            [entry, goods, paid, purchase],
        )
        await ctx.complete(conn)


# The chapter.

NOWHERE = "Atlantis"
PURCHASES = 12
_FLOWS = """
select count(*) filter (where f.state <> 'running'), count(*)
from pgqueue.flows f join demo.sagas s on s.flow_id = f.id"""

WITNESSES = """
create table demo.sagas (purchase_id integer primary key, flow_id bigint not null);
"""

CHECKS = (
    Check(
        "Purchases that could be delivered were reserved, charged and sent, once each and in this order",
        """
        select count(*) > 0
                 and bool_and(coalesce(entries = '{reserve,charge,courier}' and money = amount and goods = -1, false)),
               format('%s purchases: %s', count(*), string_agg(distinct array_to_string(entries, ', '), '; '))
        from demo.purchases p
        left join (select purchase_id, array_agg(entry order by id) as entries, sum(money) as money, sum(goods) as goods
                   from demo.ledger group by 1) l on l.purchase_id = p.id
        where p.address <> 'Atlantis'""",
    ),
    Check(
        "Those that could not be were undone in the reverse order: nobody has paid, the goods are back",
        """
        select count(*) > 0
                 and bool_and(coalesce(entries = '{reserve,charge,refund,release}' and money = 0 and goods = 0, false)),
               format('%s purchases: %s; %s refunds were tried again', count(*),
                      string_agg(distinct array_to_string(entries, ', '), '; '),
                      (select count(*) from pgqueue.attempts a join pgqueue.jobs j on j.id = a.job_id
                       where j.task like '%refund' and a.outcome = 'failed'))
        from demo.purchases p
        left join (select purchase_id, array_agg(entry order by id) as entries, sum(money) as money, sum(goods) as goods
                   from demo.ledger group by 1) l on l.purchase_id = p.id
        where p.address = 'Atlantis'""",
    ),
)


class Payments(Chapter):
    """A dozen purchases, every third to be sent where nobody delivers."""

    tables = (TABLES, WITNESSES)
    checks = CHECKS

    def begin(self) -> None:
        """Buy."""
        for number in range(1, PURCHASES + 1):
            address = NOWHERE if number % 3 == 0 else f"{number} Main Street"
            with self.stage.conn.transaction():
                self.stage.conn.execute(
                    "insert into demo.purchases values (%s, %s, %s)", [number, 10 * number, address]
                )
                self.stage.conn.execute(
                    "insert into demo.sagas values (%s, %s)", [number, buy(self.stage.conn, number)]
                )
        self.stage.show.say(f"payments: {PURCHASES} purchases, {PURCHASES // 3} of them to be sent to {NOWHERE}")

    def go_on(self) -> bool:
        """Look how many purchases have ended."""
        ended, total = self.stage.ask(_FLOWS)
        self.stage.show.bar("purchases", ended, total)
        return bool(ended < total)
