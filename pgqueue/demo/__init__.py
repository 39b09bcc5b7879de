"""The demo: a small company whose work goes through real workers, which die on the way.

    signup.py    chapter one: sign-ups, a poison job, a price list, a killed worker
    shop.py      its application: tables, tasks, how it enqueues; read this first
    smtp.py      a mail server that refuses some deliveries at first

    video.py     films: transcode, then thumbnails and transcript, then notify; media/ reads and writes the files
    accounts.py  two batches of deletions, and who is told what became of them
    nights.py    a nightly schedule, fast-forwarded through a month in which the clocks change
    payments.py  sagas: what was done is undone when a later step fails
    api.py       calls within a rate limit; bureau.py is the server that counts violations
    services.py  the application of these five; company.py what they share

    story.py     what happens, chapter by chapter; stage.py what chapters play on
    world.py     the database that it happens in, and how that is left as it was found
    fleet.py     `pgq work`, as a process of its own
    checks.py    what was promised, asked of the database
    show.py      bars on a terminal, plain lines in a pipe

Nothing is imported before `run`: workers import `shop` or `services` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from psycopg import Connection
    from rich.console import Console


def run(
    dsn: str | None,
    *,
    only: Sequence[str] = (),
    console: Console | None = None,
    before_checks: Callable[[Connection[Any]], None] | None = None,
) -> int:
    """Play the demo and return its exit status: 0 when every promise was kept, 1 when not, 128 + n after signal n.

    `only` names the chapters to play; all if it is empty. Without a DSN it brings a throw-away server; in a database of
    the user's it lives in schemas of its own and drops them. `before_checks` is called with a connection to that
    database when everything has happened. Raises ConfigError, DatabaseUnavailable.
    """
    from pgqueue.demo.story import play

    return play(dsn, only=only, console=console, before_checks=before_checks)
