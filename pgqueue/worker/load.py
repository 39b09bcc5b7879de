"""Finds an App by MODULE:APP, from the directory where the command was given."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path

from pgqueue.app import App
from pgqueue.errors import AppImportError
from pgqueue.telling import said_by


def load_app(spec: str, cwd: str) -> App:
    """Import the module and return its App; the attribute defaults to `app`. Raises AppImportError with the reason
    and the place.
    """
    module_name, colon, attribute = spec.partition(":")
    attribute = attribute if colon else "app"
    if not module_name or not attribute or module_name.endswith(".py") or "/" in module_name:
        raise AppImportError(f'"{spec}" is not MODULE:APP; for jobs.py with `app = App()` in it write jobs:app')
    if cwd not in sys.path:
        sys.path.insert(0, cwd)
    try:
        module = importlib.import_module(module_name)
    except BaseException as error:  # SystemExit too: the module may end itself where it is not the main one
        said = f"{type(error).__name__}: {said_by(error)}{_place(error)}"
        raise AppImportError(f"cannot import {module_name}: {said}") from error
    found = module
    for part in attribute.split("."):
        found = getattr(found, part, None)  # type: ignore[assignment]
    if not isinstance(found, App):
        apps = [name for name, value in vars(module).items() if isinstance(value, App)]
        hint = f"; it has {', '.join(apps)}" if apps else "; it holds no App"
        what = "does not exist" if found is None else f"is a {type(found).__name__}, not an App"
        raise AppImportError(f"{module_name}:{attribute} {what}{hint}")
    return found


def _place(error: BaseException) -> str:
    """Where in the user's code the import failed, as `(file:line)`."""
    ours = str(Path(__file__).parent.parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not frame.filename.startswith(("<frozen", ours))
    ]
    if isinstance(error, SyntaxError):
        return f" ({error.filename}:{error.lineno})"
    if not frames:
        return ""
    return f" ({frames[-1].filename}:{frames[-1].lineno})"
