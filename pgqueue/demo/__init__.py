"""The demo: a small shop whose sign-ups, photos and price list go through real workers, which die on the way.

    shop.py      the application: its tables, its tasks, how it enqueues; read this first
    world.py     the database that it happens in, and how that is left as it was found
    smtp.py      a mail server that refuses some deliveries at first
    fleet.py     `pgq work`, as a process of its own
    story.py     what happens, scene by scene
    checks.py    what was promised, asked of the database
    show.py      bars on a terminal, plain lines in a pipe

Nothing is imported before `run`: workers import `shop` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from psycopg import Connection
    from rich.console import Console


def run(
    dsn: str | None,
    *,
    console: Console | None = None,
    before_checks: Callable[[Connection[Any]], None] | None = None,
) -> int:
    """Play the demo and return its exit status: 0 when every promise was kept, 1 when not, 128 + n after signal n.

    Without a DSN it brings a throw-away server; in a database of the user's it lives in schemas of its own and drops
    them. `before_checks` is called with a connection to that database when everything has happened. Raises ConfigError,
    DatabaseUnavailable.
    """
    from pgqueue.demo.story import play

    return play(dsn, console=console, before_checks=before_checks)
