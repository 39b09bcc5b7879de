"""Enqueues jobs of every kind until the file `stop` is there: `producer.py NAME`. Prints what was acknowledged.

One connection for the whole run, so that the server keeps its prepared statements over a migration. A line is the kind
and the id of a job whose transaction has committed. Any error ends it with a traceback.
"""

import os
import sys
import time
from pathlib import Path

import psycopg
from shop import again, app, grouped, narrow, plain, threaded, total

from pgqueue import batch, chain

NAME = sys.argv[1]
STOP = Path("stop")


def rounds(conn: "psycopg.Connection[tuple[object, ...]]") -> None:
    number = 0
    while not STOP.exists():
        number += 1
        with conn.transaction():
            made = [("plain", plain.using(conn=conn).enqueue(number).id)]
            made.append(("threaded", threaded.using(conn=conn).enqueue(number).id))
            made.append(("keyed", plain.using(conn=conn, key=f"{NAME}-{number // 3}").enqueue(number).id))
            made.append(("grouped", grouped.using(conn=conn, group_key=NAME).enqueue(NAME).id))
            made.append(("narrow", narrow.using(conn=conn).enqueue(number).id))
            if number % 5 == 0:
                made.append(("again", again.using(conn=conn).enqueue(number).id))
            if number % 10 == 0:
                many = app.enqueue_many([plain.job(n) for n in range(20)], conn=conn)
                made += [("many", handle.id) for handle in many]
            if number % 20 == 0:
                made += [("chain", job.id) for job in chain(plain.job(1), plain.job(2)).enqueue(conn=conn).jobs]
                flow = batch([plain.job(n) for n in range(5)], on_done=total.job())
                made += [("batch", job.id) for job in flow.enqueue(conn=conn).jobs]
        sys.stdout.write("".join(f"{kind} {job}\n" for kind, job in made))
        sys.stdout.flush()
        time.sleep(0.03)


with psycopg.connect(os.environ["PGQ_DSN"], autocommit=True) as connection:
    rounds(connection)
