# ruff: noqa: E501 - SQL is told on one line
"""The database that orders are played in: emptied, asked for its invariants, drained by a worker loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.interleavings.runner import Conductor
from tests.sql.engine import Lease, Worker, scalar

Conn = psycopg.Connection[Any]
INVARIANTS = (Path(__file__).parent / "invariants.sql").read_text(encoding="utf-8").encode()
FUNCTIONS = Path(__file__).parents[2] / "migrations" / "functions"
NOTES = """
create schema if not exists weave;
create table weave.made (id bigint, early boolean);
create table weave.claimed (n serial, id bigint, attempt integer, worker bigint, token bigint);
create table weave.said (id bigint, attempt integer, worker bigint, outcome text, accepted boolean);
create table weave.effects (id bigint, attempt integer);
create table weave.reopened (id bigint);
create table weave.removed (id bigint);
"""
TABLES = """
select c.oid::regclass::text from pg_class c
where c.relnamespace in ('pgqueue'::regnamespace, 'weave'::regnamespace) and c.relkind in ('r', 'p') and not c.relispartition
  and c.relname not in ('settings', 'alembic_version')
"""
EMPTY = """
create function weave.empty() returns void language plpgsql as $$
begin
  DELETES
  perform setval('pgqueue.job_ids', 1, false);
end $$
"""  # a function, because it keeps its plans
QUEUES = ("default", "limited", "later")
ROUNDS = 20
UNHINDERED = """
delete from pgqueue.paused_queues;
update pgqueue.limit_rules set rate = 1000000, burst = 1000 where rate is not null;
update pgqueue.lanes set tat = null, slot = null where tat is not null
"""
ASIDE = """
update pgqueue.worker_processes w set heartbeat_at = w.heartbeat_at - 2 * w.lease where w.lost_at is null and w.id <> %s;
"""
OVERDUE = """
update pgqueue.queued_jobs j set run_at = clock_timestamp() - interval '1 s' where j.worker_id is null and j.run_at > clock_timestamp() and j.run_at < 'infinity'
"""
WAITS_FOR_AN_OPERATOR = """
select n.id from pgqueue.flow_nodes n where n.blocked and n.is_job and n.breached > 0 and (n.patient or n.on_failure = 'wait') order by n.rank desc limit 1
"""
KEEPER = """
select pgqueue.sweep_cancel_requests(), pgqueue.fold_nodes(), pgqueue.hand_on_idle(), pgqueue.sweep_lines()
"""


Change = tuple[str, str, str] | tuple[str, str, str, int]  # file, what it says, what it is to say, how often at most


class Stage:
    """A database, a connection that sets up and asks, and a conductor."""

    def __init__(self, dsn: str) -> None:
        self.conn = psycopg.connect(dsn, autocommit=True)
        self.conn.execute("set synchronous_commit = off; set client_min_messages = error")
        self.conn.execute(NOTES)
        tables = [str(row[0]) for row in self.conn.execute(TABLES)]
        deletes = " ".join(f"delete from {table};" for table in tables)
        self.conn.execute(EMPTY.replace("DELETES", deletes).encode())
        self._watcher = psycopg.connect(dsn, autocommit=True)
        self.conductor = Conductor(dsn, self._watcher)

    def close(self) -> None:
        self.conductor.close()
        self._watcher.close()
        self.conn.close()

    def reset(self) -> None:
        """Nothing is there, and ids begin with 1 again."""
        self.conn.execute("select weave.empty()")

    def violations(self, when: str) -> list[str]:
        """What does not hold now."""
        return [f"{invariant} {when}: {wrong}" for invariant, wrong in self.conn.execute(INVARIANTS)]

    def drain(self) -> list[str]:
        """Let a worker finish what is left, beside a keeper; whatever it cannot finish is told (I5)."""
        self.conn.execute(UNHINDERED)
        worker = Worker(self.conn)
        self.conn.execute(ASIDE, [worker.id])
        self.conn.execute("select pgqueue.rescue()")
        held: list[Lease] = []
        for _ in range(ROUNDS):
            stale = worker.settle(*(lease.outcome("succeeded") for lease in held)) if held else []
            if stale:
                return [f"I5 while draining: stale {stale}"]
            held = next(
                filter(None, (claim(queue=queue) for queue in QUEUES for claim in (worker.claim_alone, worker.claim))),
                [],
            )
            for lease in held:
                note_claim(self.conn, worker, lease)
            if not held:
                if not scalar(self.conn, "select count(*) from pgqueue.queued_jobs"):
                    self.conn.execute(KEEPER)
                    return []
                self.conn.execute(OVERDUE)
                self.conn.execute(KEEPER)
                for (stuck,) in self.conn.execute(WAITS_FOR_AN_OPERATOR).fetchall():
                    self.conn.execute("select pgqueue.cancel(%s)", [stuck])
        left = self.conn.execute(
            "select id, task, run_at::text, worker_id, suspect from pgqueue.queued_jobs"
        ).fetchall()
        return [f"I5: a worker loop cannot finish {left}"]

    @contextmanager
    def engine(self, *changes: Change) -> Iterator[None]:
        """Change functions of the engine; each change must fit its living text."""
        originals = {change[0]: (FUNCTIONS / change[0]).read_text(encoding="utf-8") for change in changes}
        texts = dict(originals)
        for file, old, new, *most in changes:
            found = texts[file].count(old)
            assert 1 <= found <= (most[0] if most else 1), f"{file} has {found} times {old!r}: the change has to follow"
            texts[file] = texts[file].replace(old, new)
        try:
            self._define(texts)
            yield
        finally:
            self._define(originals)

    def _define(self, texts: dict[str, str]) -> None:
        for text in texts.values():
            self.conn.execute(text.replace("create function", "create or replace function").encode())


def note_claim(conn: Conn, worker: Worker, lease: Lease) -> None:
    conn.execute(
        "insert into weave.claimed (id, attempt, worker, token) values (%s, %s, %s, %s)",
        (lease.id, lease.attempt, worker.id, lease.token),
    )
