"""Sets up the log of a worker on stderr: a line for people, or one JSON object a line, with the fields of each record.

Payloads are never logged; what is logged about a job comes as `extra` fields. What a handler logs carries its job, and
what the App's masking rules match in it is hidden.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from pgqueue.errors import InvalidArgument
from pgqueue.logs import ConsoleFormatter, JobFilter, JsonFormatter
from pgqueue.masking import Masking

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = ("debug", "info", "warning", "error", "critical")
FORMATS = ("console", "json")


def configure(level: str | None = None, format: str | None = None) -> None:  # noqa: A002 - the flag's name
    """Send the log to stderr, in place of what was set up before. Unset: PGQ_LOG_LEVEL, PGQ_LOG_FORMAT; info, console.

    Raises InvalidArgument.
    """
    wanted = (level or os.environ.get("PGQ_LOG_LEVEL") or "info").lower()
    form = (format or os.environ.get("PGQ_LOG_FORMAT") or "console").lower()
    if wanted not in LEVELS:
        raise InvalidArgument(f'log level: must be one of {", ".join(LEVELS)}, got "{wanted}"')
    if form not in FORMATS:
        raise InvalidArgument(f'log format: must be console or json, got "{form}"')
    handler = logging.StreamHandler(sys.stderr)
    masking = Masking()
    json = form == "json"
    handler.setFormatter(
        JsonFormatter(masking=masking) if json else ConsoleFormatter(colour=_wants_colour(), masking=masking)
    )
    handler.addFilter(JobFilter())
    logging.basicConfig(level=wanted.upper(), handlers=[handler], force=True)


def mask_with(masking: Masking) -> None:
    """Let what `configure` set up hide what these rules match."""
    for formatter in _ours():
        formatter.masking = masking


def configured() -> tuple[str, str] | None:
    """Level and format, if `configure` set this process up: for the processes that it starts."""
    level = logging.getLevelName(logging.getLogger().level).lower()
    for formatter in _ours():
        return level, "json" if isinstance(formatter, JsonFormatter) else "console"
    return None


def _ours() -> Iterator[JsonFormatter | ConsoleFormatter]:
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonFormatter | ConsoleFormatter):
            yield handler.formatter


def _wants_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
