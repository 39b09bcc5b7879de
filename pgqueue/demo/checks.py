"""What the demo promised, asked of the database: each check is a query that tells whether it holds, and what it found.

The tables `demo.visitors`, `demo.price_list` and `demo.smtp_log` are what the outside world says; nothing here trusts
what the story believes to have done.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from pgqueue.schema import render

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Check:
    """A promise and the SQL that puts it to the test; its row says whether it holds, and in words what is so."""

    promise: str
    sql: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a promise."""

    promise: str
    sql: str
    holds: bool
    said: str


CHECKS = (
    Check(
        "Each committed sign-up got its mail",
        """
        select count(*) > 0 and bool_and(s.id is not null and coalesce(m.messages, 0) = 1),
               format('%s sign-ups, %s of them mailed, %s of these more than once',
                      count(s.id), count(m.mails), count(*) filter (where m.mails > 1))
        from demo.visitors v
        left join demo.signups s using (email)
        left join (select email, count(*) as mails, count(distinct message_id) as messages
                   from demo.smtp_log where code = 250 group by email) m using (email)
        where v.stays""",
    ),
    Check(
        "No sign-up that was rolled back left a trace",
        """
        select count(*) > 0 and count(s.id) + count(j.id) + count(m.email) = 0,
               format('%s rolled back: %s rows, %s jobs, %s mails', count(*), count(s.id), count(j.id), count(m.email))
        from demo.visitors v
        left join demo.signups s using (email)
        left join pgqueue.jobs j on j.queue = 'mail' and j.args ->> 'email' = v.email
        left join demo.smtp_log m on m.email = v.email
        where not v.stays""",
    ),
    Check(
        "Each mail that the server refused was tried again until it was taken",
        """
        select count(*) > 0 and bool_and(taken),
               format('%s refusals to %s addresses, %s taken in the end; %s attempts failed, backed off and came back',
                      sum(refusals), count(*), count(*) filter (where taken),
                      (select count(*) from pgqueue.attempts where outcome = 'failed'))
        from (select email, count(*) filter (where code <> 250) as refusals, bool_or(code = 250) as taken
              from demo.smtp_log group by email) m
        where refusals > 0""",
    ),
    Check(
        "Each line of the price list was imported exactly once, through a kill -9",
        """
        select count(l.line) > 0 and bool_and(l.line is not null and coalesce(i.times, 0) = 1),
               format('%s lines in the file, %s imported as they are there, %s more than once, %s that are not in it',
                      count(l.line), count(*) filter (where l.line is not null and i.times > 0),
                      count(*) filter (where i.times > 1), count(*) filter (where l.line is null))
        from demo.price_list l
        full join (select line, sku, name, price, count(*) as times from demo.imported group by 1, 2, 3, 4) i
          using (line, sku, name, price)""",
    ),
    Check(
        "What the killed worker held was finished by others",
        """
        select count(*) > 0 and bool_and(j.state in ('succeeded', 'dead')) and not bool_or(w.alive),
               format('worker %s, pid %s, was killed with %s jobs in hand: %s attempts were lost, %s of these ended',
                      min(k.worker_id), min(k.pid), min(k.jobs_in_hand), count(*),
                      count(*) filter (where j.state in ('succeeded', 'dead')))
        from demo.killed_workers k
        join pgqueue.workers w on w.id = k.worker_id
        join pgqueue.attempts a on a.worker_id = k.worker_id and a.outcome = 'lost'
        join pgqueue.jobs j on j.id = a.job_id""",
    ),
    Check(
        "The poison job, which kills every worker that runs it, is in the dead letters",
        """
        select count(*) > 1 and bool_and(j.state = 'dead'),
               format('job %s is %s after %s attempts, each of which took a worker with it: %s',
                      min(j.id), min(j.state), count(a.attempt), min(j.error ->> 'message'))
        from pgqueue.jobs j
        join pgqueue.attempts a on a.job_id = j.id
        where j.queue = 'photos'""",
    ),
    Check(
        "Every other job succeeded, and nothing is left over",
        """
        select count(*) > 0 and bool_and(state = case when queue = 'photos' then 'dead' else 'succeeded' end),
               format('%s jobs: %s succeeded, %s dead, %s in any other state', count(*),
                      count(*) filter (where state = 'succeeded'), count(*) filter (where state = 'dead'),
                      count(*) filter (where state not in ('succeeded', 'dead')))
        from pgqueue.jobs""",
    ),
)

OUTCOMES = """
        select j.queue, a.outcome, count(*) as attempts, count(distinct a.job_id) as jobs
        from pgqueue.attempts a join pgqueue.jobs j on j.id = a.job_id
        group by j.queue, a.outcome order by j.queue, attempts desc"""


def run(conn: Connection[Any], schema: str) -> list[Verdict]:
    """Put every promise to the test."""
    return [_ask(conn, check, schema) for check in CHECKS]


def outcomes(conn: Connection[Any], schema: str) -> tuple[str, list[str], list[tuple[Any, ...]]]:
    """Count what attempts came to, by queue: the SQL, its columns, its rows."""
    text = _text(OUTCOMES, schema)
    cursor = conn.execute(text)
    return text, [column.name for column in cursor.description or ()], cursor.fetchall()


def _ask(conn: Connection[Any], check: Check, schema: str) -> Verdict:
    text = _text(check.sql, schema)
    row = conn.execute(text).fetchone()
    holds, said = row if row is not None else (False, "the query returned nothing")
    return Verdict(check.promise, text, holds is True, said)


def _text(sql: str, schema: str) -> str:
    """The statement for a schema; constant but for its name."""
    return render(dedent(sql).strip("\n"), schema)
