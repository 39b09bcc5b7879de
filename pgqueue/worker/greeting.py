"""What a process for cpu=True handlers is told at its start: how to find the app, and the database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pgqueue.errors import ConfigError
from pgqueue.worker import logs

if TYPE_CHECKING:
    from pgqueue.app import App


def hello(app: App, spec: str | None, *, capture_logs: str) -> dict[str, Any]:
    """What a child process needs to know; its log is set up as ours, if `pgq work` did that.

    Raises ConfigError when the app cannot be found by an import.
    """
    spec = spec or _find(app)
    if spec is None:
        names = ", ".join(sorted(name for name, task in app.tasks.items() if task.cpu))
        raise ConfigError(
            f"cpu=True tasks ({names}) run in processes that import the App: put it into a module, not into __main__"
        )
    return {
        "app": spec,
        "path": sys.path,
        "dsn": app.dsn,
        "schema": app.schema,
        "log": logs.configured(),
        "capture_logs": capture_logs,
        "traced": app.tracer is not None,
    }


def _find(app: App) -> str | None:
    for module in {task.fn.__module__ for task in app.tasks.values()} - {"__main__"}:
        for name, value in vars(sys.modules.get(module, object)).items():
            if value is app:
                return f"{module}:{name}"
    return None
