"""What the services of the demo have in common: their App, their workers' connections, and where their files are."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pgqueue import App

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

FOLDER = "PGQ_DEMO_FOLDER"

app = App()


@functools.cache
def connections() -> AsyncConnectionPool:
    """The worker's own connections to the tables in `demo`; opening them again does nothing."""
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(app.dsn, open=False, min_size=1, max_size=6)


def folder(name: str) -> Path:
    """The folder of a service."""
    return Path(os.environ[FOLDER], name)
