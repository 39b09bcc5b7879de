"""The dashboard: a web page over the same SQL functions that the terminal and programs use. Extra `ui`;
docs/dashboard.md.

    doors.py      what is refused before anything else; the headers of every answer
    entrance.py   who it is: open on loopback, password file, proxy header, or the application around it
    app.py        the ASGI application: routes, errors         visit.py      a request as a page sees it
    database.py   connections, roles, masking, the audit log   site.py       settings, templates, static files
    pages/        one module a page (how to add one is told there), templates/ and sql/ beside it

`Dashboard` is imported when it is asked for, so that `pgqueue.ui` itself needs nothing that is not installed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgqueue.ui.app import Dashboard

__all__ = ["Dashboard"]


def __getattr__(name: str) -> Any:
    if name != "Dashboard":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from pgqueue.ui.app import Dashboard
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "jinja2", "markupsafe"}:
            raise
        from pgqueue.errors import ConfigError
        from pgqueue.extra import install

        raise ConfigError(f"the dashboard needs {error.name}: {install('ui')}") from error
    return Dashboard
