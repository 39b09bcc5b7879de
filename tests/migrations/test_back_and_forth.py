"""The newest revision is taken back and applied again with jobs of every kind in the database: none of them notices."""

from datetime import timedelta

import psycopg
import pytest

from pgqueue import App, chain, migrate
from pgqueue.migrate.revisions import known
from tests.support.jobs import app as jobs
from tests.support.running import Running

JOBS = """
select id, state, task, queue, priority, args, key, group_key, attempt, run_at, created_at
from pgqueue.jobs order by id"""


@pytest.fixture
def app(dsn: str) -> App:
    jobs.configure(dsn=dsn)
    return jobs


def test_jobs_of_every_kind_survive_the_way_back_and_forth(dsn: str, app: App) -> None:
    add, fail = app.tasks["add.async"], app.tasks["fail.async"]
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("select pgqueue.set_limit('narrow', concurrency => 1)")
        dead = fail.using(conn=conn, max_attempts=1).enqueue("dies")
        Running(app, burst=True, listen=False).start().join()
        made = [
            add.using(conn=conn).enqueue(1, 2),
            add.using(conn=conn, key="once").enqueue(1, 2),
            add.using(conn=conn, delay=timedelta(milliseconds=10)).enqueue(1, 2),
            *(add.using(conn=conn, group_key="a").enqueue(1, number) for number in range(3)),
            *(add.using(conn=conn, limits={"narrow": "x"}).enqueue(1, number) for number in range(3)),
            *chain(add.job(1, 2), add.job(3, 4)).enqueue(conn=conn).jobs,
        ]
        before = conn.execute(JOBS).fetchall()

        migrate.downgrade(dsn, "pgqueue", known()[-2])
        between = conn.execute(JOBS).fetchall()
        migrate.upgrade(dsn)
        after = conn.execute(JOBS).fetchall()
        Running(app, burst=True, listen=False).start().join()
        states = dict(conn.execute("select id, state from pgqueue.jobs").fetchall())

    assert [(row[0], row[2:]) for row in between] == [(row[0], row[2:]) for row in before]
    assert [(row[0], row[2:]) for row in after] == [(row[0], row[2:]) for row in before]
    assert {states[handle.id] for handle in made} == {"succeeded"}
    assert states[dead.id] == "dead"
