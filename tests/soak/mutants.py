"""Engines that are wrong, each in a way that others have shipped: the soak has to catch every one of them.

They are made in the soak's own database and in its own worker processes, from outside; the product knows nothing of it.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

VARIABLE = "SOAK_MUTANT"
NAMES = ("id-only-settle", "ack-before-run", "async-commit", "app-clock", "stale-rescue")
SERVER_SETTINGS = {"async-commit": {"wal_writer_delay": "5s"}}
WRONG_SECONDS = 600.0

STALE_RESCUE = """
create or replace function pgqueue.rescue(max_jobs integer default null)
returns table (worker_id bigint, host text, pid integer, jobs bigint)
language plpgsql as $$
declare
  _ids bigint[];
  _outcomes jsonb;
begin
  for worker_id, host, pid in
    select w.id, w.host, w.pid from pgqueue.worker_processes w
    where not w.rescued and (w.lost_at is not null or w.heartbeat_at + w.lease < clock_timestamp())
  loop
    _ids := array(select q.id from pgqueue.queued_jobs q where q.worker_id = rescue.worker_id);
    perform pg_sleep(0.4);  -- any wait between looking and acting: here it is long enough to be seen
    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost')) into _outcomes
    from (select q.id, q.token from pgqueue.queued_jobs q where q.id = any (_ids) and q.token is not null
          order by q.id for update skip locked) j;
    perform pgqueue.settle(_outcomes, clock_timestamp()) where _outcomes is not null;
    update pgqueue.worker_processes w set lost_at = clock_timestamp(), rescued = true where w.id = rescue.worker_id;
    jobs := coalesce(jsonb_array_length(_outcomes), 0);
    return next;
  end loop;
end $$
"""


def variables(name: str | None) -> Mapping[str, str]:
    """What tells worker processes which mutant they are."""
    return {VARIABLE: name} if name else {}


def break_database(conn: "psycopg.Connection[Any]", name: str | None) -> None:
    """Put the wrong functions in place of the right ones."""
    match name:
        case "id-only-settle":
            _rewrite(conn, "settle_succeeded", "j.id = g.id and j.token = g.token", "j.id = g.id")
            _rewrite(conn, "settle", "g.id = j.id and g.token = j.token", "g.id = j.id")
        case "async-commit":
            conn.execute("alter database soak set synchronous_commit = off")
        case "stale-rescue":
            conn.execute(STALE_RESCUE)
        case _:
            return


def _rewrite(conn: "psycopg.Connection[Any]", function: str, old: str, new: str) -> None:
    row = conn.execute(
        "select pg_get_functiondef(oid) from pg_proc where proname = %s and pronamespace = 'pgqueue'::regnamespace",
        [function],
    ).fetchone()
    assert row is not None
    text: str = row[0]
    assert old in text, f"{function} does not say {old!r} any more: the mutant has to follow"
    conn.execute(text.replace(old, new).encode())


def break_this_process() -> None:
    """Break the worker in this process, when its environment says so."""
    change: Callable[[], None] | None = {"ack-before-run": _ack_before_run, "app-clock": _app_clock}.get(
        os.environ.get(VARIABLE, "")
    )
    if change is not None:
        change()


def _ack_before_run() -> None:
    """Settle as soon as a job has been claimed, and run it then."""
    from pgqueue.worker.crew import Crew

    submit = Crew.submit

    def acknowledge(self: Any, attempts: Any) -> None:
        taken = list(attempts)
        for attempt in taken:
            self._outbox.succeeded(attempt)
        submit(self, taken)

    Crew.submit = acknowledge  # type: ignore[method-assign]


def _app_clock() -> None:
    """Beat by this process's clock, which is ten minutes ahead in every other process."""
    from pgqueue.worker.lease import Keepalive

    ahead = random.Random(os.getpid()).choice([0.0, WRONG_SECONDS])
    execute = Keepalive._execute
    by_own_clock = "update pgqueue.worker_processes set heartbeat_at = to_timestamp(%s) where id = %s returning 1"

    def run(self: Any, name: str, params: Mapping[str, Any]) -> Any:
        rows = execute(self, name, params)
        if name == "beat":
            self._conn.execute(by_own_clock, [time.time() + ahead, params["worker_id"]])
        return rows

    Keepalive._execute = run  # type: ignore[method-assign]
