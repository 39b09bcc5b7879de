"""The words in which a page says where it is: `Page` for what is read, `Action` for what changes. See
pgqueue/ui/pages."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from pgqueue.ui.visitor import Role

if TYPE_CHECKING:
    from pgqueue.ui.visit import Visit

Handler = Callable[["Visit"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """Something to read at a path, by GET. `nav`: its word in the navigation; without one it is not there."""

    path: str
    handler: Handler
    nav: str | None = None
    role: Role = Role.VIEWER


@dataclass(frozen=True, slots=True)
class Action:
    """A change at a path, by POST only."""

    path: str
    handler: Handler
    role: Role = Role.OPERATOR


Entry = Page | Action
