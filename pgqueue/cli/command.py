"""What every command has: the four global options, on either side of its name, and one readable line when it fails.

A command is a function whose first parameter is the `Session`; `command` adds the options to its signature, which is
what typer reads.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from pgqueue.cli import failure
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument

PREFIX = "PGQ"  # of the variables that stand for flags: PGQ_JOBS_LS_LIMIT is `pgq jobs ls --limit`

_DSN = typer.Option(
    envvar="PGQ_DSN",
    metavar="DSN",
    rich_help_panel="Global options",
    help="The database: a postgresql:// address, or embedded:PATH for a private server kept in that folder. "
    "Else PGQ_DSN, DATABASE_URL or libpq's variables.",
)
_SCHEMA = typer.Option(
    envvar="PGQ_SCHEMA", metavar="NAME", rich_help_panel="Global options", help="The schema of the queue: pgqueue."
)
_JSON = typer.Option("--json", envvar="PGQ_JSON", rich_help_panel="Global options", help="Print one JSON document.")
_DEBUG = typer.Option(
    "--debug", envvar="PGQ_DEBUG", rich_help_panel="Global options", help="Show the traceback of an error."
)


def _global_options(  # what typer reads the options from
    *,
    dsn: Annotated[str | None, _DSN] = None,
    schema: Annotated[str | None, _SCHEMA] = None,
    json: Annotated[bool, _JSON] = False,
    debug: Annotated[bool, _DEBUG] = False,
) -> None: ...


_GLOBAL = inspect.signature(_global_options).parameters
_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def group(help: str) -> typer.Typer:  # noqa: A002 - typer's word
    """Make a group of commands, which takes the global options as well."""
    app = typer.Typer(
        help=help,
        no_args_is_help=True,
        rich_markup_mode=_markup(),
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(accepting_global_options(lambda **_: None))
    return app


def _markup() -> Literal["rich"] | None:
    """Draw help in boxes and colours on a terminal only."""
    return "rich" if sys.stdout.isatty() else None


def accepting_global_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the global options to a callback; their values are read from the context by the command itself."""

    def callback(**given: Any) -> None:
        function(**{name: value for name, value in given.items() if name not in _GLOBAL})

    own = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    callback.__signature__ = inspect.Signature([*own, *_GLOBAL.values()])  # type: ignore[attr-defined]
    return callback


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as a command. It returns the exit status; None is 0."""

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        app.command(name)(_runner(function))
        return function

    return register


def callback(app: typer.Typer) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as what a group does when none of its commands is named."""

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        app.callback(invoke_without_command=True, no_args_is_help=False)(_runner(function))
        return function

    return register


def _runner(function: Callable[..., int | None]) -> Callable[..., None]:
    """Make the function that typer reads and calls: with the global options, ending in an exit status."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    def run(*, context: typer.Context, **given: Any) -> None:
        if context.invoked_subcommand is not None:
            return
        wanted = {option: _value(context, option) for option in _GLOBAL}
        raise typer.Exit(_run(function, wanted, {k: v for k, v in given.items() if k not in _GLOBAL}))

    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    run.__signature__ = inspect.Signature([_CONTEXT, *keyword_only, *_GLOBAL.values()])  # type: ignore[attr-defined]
    run.__doc__ = function.__doc__
    return run


def _run(function: Callable[..., int | None], wanted: dict[str, Any], given: dict[str, Any]) -> int:
    try:
        _require_utf8(given)
        with Session(wanted["dsn"], wanted["schema"], as_json=wanted["json"]) as session:
            session.debug = wanted["debug"]
            return function(session, **given) or failure.DONE
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        return failure.report(error, debug=wanted["debug"])


def _require_utf8(given: dict[str, Any]) -> None:
    """Refuse bytes of the command line that are no text: the database could not take them."""
    for name, value in given.items():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise InvalidArgument(f"{name.rstrip('_').replace('_', '-')}: must be UTF-8") from None


def _value(context: typer.Context, option: str) -> Any:
    """Take a global option from wherever it stands on the line, the innermost first; else from its variable."""
    at: Any = context
    while at is not None:
        source = at.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            return at.params[option]
        at = at.parent
    return context.params.get(option)
