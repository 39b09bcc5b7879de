"""Optional dependencies: a missing one is named with the extra that brings it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pgqueue.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType


def require(module: str, *, extra: str, for_what: str) -> ModuleType:
    """Import a module of an extra. Raises ConfigError that names the extra when it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != missing:
            raise
        said = f'{for_what} needs the package "{missing.replace("_", "-")}", which the extra "{extra}" brings'
        raise ConfigError(f"{said}: {install(extra)}") from None


def install(extra: str) -> str:
    """Say how to install an extra. Never by the name alone: on PyPI that is somebody else's package."""
    return f"pip install 'PATH/TO/pgqueue[{extra}]' (in a checkout: pip install -e '.[{extra}]')"
