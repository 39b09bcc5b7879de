"""A worker that always sleeps: holds the sleepers' lock of the queue `default` and listens: every enqueue notifies.

A real worker wakes up under such a load and takes its lock away; this is the most that sleeping can cost producers.
"""

from __future__ import annotations

import os
import select

import psycopg
from psycopg import sql


def main(dsn: str) -> None:
    """Sleep until killed."""
    conn = psycopg.connect(dsn, autocommit=True)
    row = conn.execute("select pgqueue.wake_key('default'), pgqueue.wake_channel('default')").fetchone()
    assert row is not None
    conn.execute(sql.SQL("listen {}").format(sql.Identifier(row[1])))
    conn.execute("select pg_advisory_lock_shared(%s)", [row[0]])
    while True:
        select.select([conn.fileno()], [], [], 1.0)
        for _ in conn.notifies(timeout=0):
            pass


if __name__ == "__main__":
    main(os.environ["PGQ_DSN"])
