"""What one dashboard is made of: its settings, database, templates and static files. A page reaches it as
`visit.site`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from pgqueue.ui import shown
from pgqueue.ui.database import Database
from pgqueue.ui.entrance import Entrance
from pgqueue.ui.shared import Shared
from pgqueue.version import VERSION

if TYPE_CHECKING:
    from pgqueue.ui.visit import Visit

TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
FOLD_SECONDS = 15.0
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file."""

    body: bytes
    type: str


@dataclass(slots=True)
class Site:
    """The parts."""

    database: Database
    entrance: Entrance
    navigation: Sequence[tuple[str, str]]  # path and word
    refresh_seconds: int = 5
    shared: Shared = field(default_factory=Shared)
    templates: Environment = field(init=False)
    assets: Mapping[str, Asset] = field(init=False)  # by the name in its address, which has the hash of the content
    addresses: Mapping[str, str] = field(init=False)  # name of the file -> name in its address

    def __post_init__(self) -> None:
        self.templates = Environment(
            loader=PackageLoader("pgqueue.ui", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters.update(shown.filters())
        self.addresses, self.assets = _assets()

    async def fold(self) -> None:
        """Fold the statistics if nobody here did so lately: workers do it too, but there may be none."""
        await self.shared.get("fold", FOLD_SECONDS, self.database.fold)

    def render(self, template: str, visit: "Visit", **context: Any) -> str:
        """Fill a template; `visit` and `site` are always there."""
        return self.templates.get_template(template).render(visit=visit, site=self, version=VERSION, **context)

    def static(self, visit: "Visit", name: str) -> str:
        """Return the address of a static file."""
        return visit.url(f"/static/{self.addresses[name]}")

    def set_cookie(self, request: Request, response: Response, name: str, value: str, *, seconds: int | None) -> None:
        """Set a cookie that scripts cannot read, that no other site's request carries, and that TLS keeps to itself."""
        root = str(request.scope.get("root_path", "")).rstrip("/")
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=f"{root}/",
            secure=self.entrance.is_https(request) or _page_was_https(request),
            httponly=True,
            samesite="strict",
        )


def _page_was_https(request: Request) -> bool:
    """Whether the page that sent this form came by TLS, which a proxy in front of us may have ended: browsers say so,
    and doors.py has seen that they mean our own name."""
    return request.headers.get("origin", "").startswith("https://")


def _assets() -> tuple[dict[str, str], dict[str, Asset]]:
    addresses: dict[str, str] = {}
    assets: dict[str, Asset] = {}
    top = files("pgqueue.ui").joinpath("static")
    for folder in (top, top.joinpath("vendor")):
        for file in folder.iterdir():
            stem, _, ending = file.name.rpartition(".")
            if ending not in TYPES:
                continue
            body = file.read_bytes()
            address = f"{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{ending}"
            addresses[file.name] = address
            assets[address] = Asset(body, TYPES[ending])
    return addresses, assets
