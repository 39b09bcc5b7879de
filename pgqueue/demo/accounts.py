"""People who left: their accounts are deleted by a job each, and somebody is told when the last one is gone.

The jobs are one batch. Its callbacks are jobs too, enqueued with it: each runs once, whatever dies on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgqueue import Discard
from pgqueue import batch as batch_of
from pgqueue.demo.checks import Check
from pgqueue.demo.company import app, connections, folder
from pgqueue.demo.stage import Chapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from psycopg import Connection

    from pgqueue import Context
    from pgqueue.demo.stage import Stage

TABLES = """
create table demo.accounts (id integer primary key, name text not null, on_hold boolean not null);
create table demo.orders (account_id integer not null references demo.accounts, item text not null);
create index on demo.orders (account_id);
-- What the callbacks tell. No unique key: one that ran twice would show.
create table demo.deletion_reports (
  batch text not null, event text not null, accounts_left bigint not null, at timestamptz not null);
"""


def delete_accounts(conn: Connection[Any], name: str, accounts: Sequence[int]) -> int:
    """Enqueue the deletion of accounts, in the transaction of `conn`; returns the number of the flow."""
    first, last = accounts[0], accounts[-1]
    return (
        batch_of(
            [delete_account.job(account, name) for account in accounts],
            on_success=report.job(name, "success", first, last),
            on_done=report.job(name, "done", first, last),
            on_failed=report.job(name, "failed", first, last),
            name=name,
        )
        .enqueue(conn=conn)
        .id
    )


@app.task(queue="accounts")
async def delete_account(ctx: Context, account: int, batch: str) -> None:  # noqa: ARG001 - for the history
    """Delete an account with its orders and its file; one that a court wants kept is a dead letter, and stays whole."""
    await connections().open()
    async with connections().connection() as conn:
        found = await conn.execute("select on_hold from demo.accounts where id = %s for update", [account])
        if await found.fetchone() == (True,):
            raise Discard(f"account {account} is on legal hold")
        await conn.execute("delete from demo.orders where account_id = %s", [account])
        await conn.execute("delete from demo.accounts where id = %s", [account])
        (folder("accounts") / f"{account}.vcf").unlink(missing_ok=True)  # gone already if this is done again
        await ctx.complete(conn)


@app.task(queue="accounts")
async def report(ctx: Context, name: str, event: str, first: int, last: int) -> None:
    """Write down what became of a batch, and how many of its accounts there still are."""
    await connections().open()
    async with connections().connection() as conn:
        await conn.execute(
            "insert into demo.deletion_reports select %s, %s, count(*), clock_timestamp() "
            "from demo.accounts where id between %s and %s",
            [name, event, first, last],
        )
        await ctx.complete(conn)


# The chapter.

LEAVERS, CONTESTED, STAYERS = range(1, 201), range(201, 211), range(211, 251)
ON_HOLD = 204

WITNESSES = """
-- All who had an account, and the batch that is to delete it.
create table demo.roster (account_id integer primary key, batch text, on_hold boolean not null);
create table demo.batches (batch text primary key, flow_id bigint not null);
create table demo.account_files (account_id integer primary key);
"""

CHECKS = (
    Check(
        "Accounts of people who left are gone, with orders and files; all others are there, whole",
        """
        select count(*) filter (where gone) > 0
                 and bool_and(case when gone then (a.id is null and f.account_id is null and o.orders is null)
                                   else (a.id is not null and f.account_id is not null and o.orders = 3) is true end),
               format('%s to go: %s rows, %s orders, %s files are left; %s to stay: %s rows, %s orders, %s files',
                      count(*) filter (where gone), count(a.id) filter (where gone),
                      coalesce(sum(o.orders) filter (where gone), 0), count(f.account_id) filter (where gone),
                      count(*) filter (where not gone), count(a.id) filter (where not gone),
                      coalesce(sum(o.orders) filter (where not gone), 0), count(f.account_id) filter (where not gone))
        from (select account_id, batch is not null and not on_hold as gone from demo.roster) r
        left join demo.accounts a on a.id = r.account_id
        left join demo.account_files f on f.account_id = r.account_id
        left join (select account_id, count(*) as orders from demo.orders group by 1) o
          on o.account_id = r.account_id""",
    ),
    Check(
        "When the last was gone on_success and on_done ran, once; where one failed, on_failed and on_done",
        """
        select count(*) = 2 and bool_and(coalesce(
                 told = case batch when 'leavers' then '{done,success}'::text[] else '{done,failed}' end
                 and not too_early and accounts_left = dead, false)),
               string_agg(format('%s: %s deleted, %s dead, then %s', batch, deleted, dead,
                                 array_to_string(told, ' and ')), '; ' order by batch desc)
        from demo.batches b
        left join (select args ->> 'batch' as batch, max(finished_at) as ended,
                          count(*) filter (where state = 'succeeded') as deleted,
                          count(*) filter (where state = 'dead') as dead
                   from pgqueue.jobs where task like '%delete_account' group by 1) m using (batch)
        left join lateral (select array_agg(r.event order by r.event) as told, max(r.accounts_left) as accounts_left,
                                  bool_or(r.at < m.ended) as too_early
                           from demo.deletion_reports r where r.batch = b.batch) t on true""",
    ),
)

_PROGRESS = """
select sum(f.total)::bigint, sum(f.succeeded + f.failed + f.cancelled + f.skipped)::bigint, bool_or(f.state = 'running')
from pgqueue.flows f join demo.batches b on b.flow_id = f.id"""


class Deletions(Chapter):
    """Two batches: one that succeeds, and one with an account that must not be deleted."""

    tables = (TABLES, WITNESSES)
    checks = CHECKS

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._home = stage.folder / "accounts"

    def open(self, servers: ExitStack) -> Mapping[str, str]:
        """Make the accounts: a row, three orders and a file each."""
        self._home.mkdir()
        batches: list[tuple[range, str | None]] = [(LEAVERS, "leavers"), (CONTESTED, "contested"), (STAYERS, None)]
        people = [(account, name, account == ON_HOLD) for accounts, name in batches for account in accounts]
        for account, _, _ in people:
            (self._home / f"{account}.vcf").write_text(f"BEGIN:VCARD\nVERSION:4.0\nFN:Person {account}\nEND:VCARD\n")
        self.stage.put("insert into demo.roster values (%s, %s, %s)", people)
        self.stage.conn.execute(
            "insert into demo.accounts select account_id, 'Person ' || account_id, on_hold from demo.roster"
        )
        self.stage.conn.execute(
            "insert into demo.orders "
            "select account_id, item from demo.roster, unnest(array['hammer', 'nails', 'glue']) item"
        )
        return super().open(servers)

    def begin(self) -> None:
        """Enqueue both batches."""
        for name, accounts in (("leavers", LEAVERS), ("contested", CONTESTED)):
            with self.stage.conn.transaction():
                flow = delete_accounts(self.stage.conn, name, accounts)
                self.stage.conn.execute("insert into demo.batches values (%s, %s)", [name, flow])
        self.stage.show.say(
            f"accounts: batches of {len(LEAVERS)} and {len(CONTESTED)} deletions, one of which must not be done"
        )

    def go_on(self) -> bool:
        """Look how far the batches are."""
        total, ended, running = self.stage.ask(_PROGRESS)
        self.stage.show.bar("deletions and reports", ended, total)
        return bool(running)

    def testify(self) -> None:
        """Look whose files are there."""
        self.stage.put(
            "insert into demo.account_files values (%s)", [[int(file.stem)] for file in self._home.glob("*.vcf")]
        )
