"""The application of the demo, as anybody would write one: tables, tasks, and business transactions that enqueue jobs.

Its tables live in the schema `demo`. Workers run it with `pgq work pgqueue.demo.shop:app`.
"""

from __future__ import annotations

import csv
import functools
import os
import smtplib
from datetime import timedelta
from decimal import Decimal
from email.message import EmailMessage
from itertools import islice
from typing import TYPE_CHECKING, Any

from pgqueue import App, Exponential

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg import Connection
    from psycopg_pool import AsyncConnectionPool

    from pgqueue import PendingJob
    from pgqueue.context import Context

SMTP_PORT = "PGQ_DEMO_SMTP_PORT"
BATCH = 1_000  # lines of the price list that are enqueued in one round trip

TABLES = """
create table demo.signups (id bigint generated always as identity primary key, email text not null unique);
-- No unique key: a line that were imported twice would show.
create table demo.imported (line integer not null, sku text not null, name text not null, price numeric not null);
"""

app = App()


class ChangedMind(Exception):  # noqa: N818 - what happened
    """The visitor left before the sign-up was done."""


def sign_up(conn: Connection[Any], email: str, *, stays: bool = True) -> None:
    """Add a sign-up and the job that mails it, both or none. Raises ChangedMind."""
    with conn.transaction():
        conn.execute("insert into demo.signups (email) values (%s)", [email])
        send_verification.using(conn=conn, key=f"verify {email}").enqueue(email=email)
        if not stays:
            raise ChangedMind(email)


@app.task(
    queue="mail",
    max_attempts=10,
    backoff=Exponential(first=timedelta(milliseconds=300), maximum=timedelta(seconds=2)),
    timeout=timedelta(seconds=10),
)
def send_verification(ctx: Context, email: str) -> None:
    """Send the mail that a sign-up waits for. A plain function: it runs in a thread.

    The job's id is in the Message-ID, so that a mail which is sent again, because its worker died before it could say
    that it had sent it, can be told from a second mail.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@demo.invalid", email, "Please confirm your address"
    mail["Message-ID"] = f"<job-{ctx.job.id}@demo.invalid>"
    mail.set_content("Welcome! Follow this link: https://demo.invalid/confirm")
    with smtplib.SMTP("127.0.0.1", int(os.environ[SMTP_PORT]), local_hostname="localhost", timeout=5) as server:
        server.send_message(mail)


@app.task(queue="photos")
async def resize_photo(photo: str) -> None:  # noqa: ARG001 - it never gets to look at it
    """Resize a photo with a library that brings its process down: a poison job."""
    os._exit(139)


def import_price_list(conn: Connection[Any], file: Path, *, first: int | None = None) -> Iterator[int]:
    """Enqueue a job for each line of a CSV file, or for the first so many; yields how many, a batch at a time.

    The key makes each line one job for an hour: a file that is uploaded twice is imported once.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        jobs = islice(map(_line_job, csv.DictReader(lines)), first)
        while batch := list(islice(jobs, BATCH)):
            app.enqueue_many(batch, conn=conn)
            yield len(batch)


def _line_job(row: dict[str, str]) -> PendingJob[None]:
    task = import_line.using(key=f"line {row['line']}", key_period=timedelta(hours=1))
    return task.job(int(row["line"]), row["sku"], row["name"], Decimal(row["price"]))


@app.task(queue="import")
async def import_line(ctx: Context, line: int, sku: str, name: str, price: Decimal) -> None:
    """Import a line, and end the job in the same transaction: once each, whoever dies meanwhile."""
    await connections().open()
    async with connections().connection() as conn:
        await conn.execute("insert into demo.imported values (%s, %s, %s, %s)", [line, sku, name, price])
        await ctx.complete(conn)


@functools.cache
def connections() -> AsyncConnectionPool:
    """The worker's own connections to the shop's tables; opening them again does nothing."""
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(app.dsn, open=False, min_size=1, max_size=8)
