"""The options of a job, the same for whatever command makes one: `pgq enqueue`, `pgq schedules add`."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from pgqueue.cli import values


def time_option(name: str, *, help: str) -> Any:  # noqa: A002 - typer's word
    """Make an option that takes a duration, as in 30s."""
    return typer.Option(name, metavar="TIME", parser=values.option_type(values.duration), help=help)


def moment_option(name: str, *, help: str) -> Any:  # noqa: A002 - typer's word
    """Make an option that takes a point in time with its zone."""
    return typer.Option(name, metavar="ISO", parser=values.option_type(values.moment), help=help)


def json_option(name: str, *, help: str) -> Any:  # noqa: A002 - typer's word
    """Make an option that takes a JSON object, read by `object_of`."""
    return typer.Option(name, metavar="JSON", help=help)


ARGS = json_option("--args", help="The arguments, a JSON object; @FILE, or - for stdin.")

Queue = Annotated[str | None, typer.Option("--queue", "-q", help='The queue, "default" unless given.')]
Priority = Annotated[int | None, typer.Option("--priority", help="From -100 to 100; lower runs first.")]
Meta = Annotated[str | None, json_option("--meta", help="Kept beside the arguments.")]
Key = Annotated[str | None, typer.Option("--key", help="One unfinished job per queue and key.")]
KeyPolicy = Annotated[str | None, typer.Option("--key-policy", help="When the key is taken: skip, replace or raise.")]
KeyPeriod = Annotated[timedelta | None, time_option("--key-period", help="The key holds at least so long.")]
Delay = Annotated[timedelta | None, time_option("--delay", help="Due in 30s, 10m, 1h30m, 2d ...")]
RunAt = Annotated[datetime | None, moment_option("--run-at", help="Due at this time, with its zone.")]
MaxAttempts = Annotated[int | None, typer.Option("--max-attempts", help="Tries in all; else the task's.")]
Timeout = Annotated[
    timedelta | None, time_option("--timeout", help="The longest that a try may take; else the task's.")
]
ExpiresIn = Annotated[timedelta | None, time_option("--expires-in", help="Cancelled if it has not started by then.")]
ExpiresAt = Annotated[datetime | None, moment_option("--expires-at", help="Cancelled if it has not started by then.")]


def object_of(given: str | None, *, name: str) -> str | None:
    """Return the JSON object that was given as a text, `@FILE` or `-`. Raises InvalidArgument."""
    return None if given is None else values.json_object(values.text_of(given, name=name), name=name)
