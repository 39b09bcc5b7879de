"""A dashboard over the test's database, asked without a network: `browse("ada", "operator")` is a client of that
visitor."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from pgqueue.ui import Dashboard
from tests.ui.world import fill

HOST = "queue.test"
FROM_OUR_PAGE = {"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"}
Browse = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def dashboards(dsn: str) -> AsyncIterator[Callable[..., Dashboard]]:
    """Make dashboards over the test's database; they are closed at the end."""
    made: list[Dashboard] = []

    def make(**options: Any) -> Dashboard:
        made.append(Dashboard(dsn, **{"hosts": [HOST], **options}))
        return made[-1]

    yield make
    for dashboard in made:
        await dashboard.aclose()


@pytest.fixture
async def browse(dashboards: Callable[..., Dashboard]) -> AsyncIterator[Browse]:
    """Open a client of one visitor, or of a dashboard that a test has made. It sends what our pages' forms send."""
    clients: list[httpx.AsyncClient] = []

    def client_of(name: str = "ada", role: str = "admin", dashboard: Dashboard | None = None, **options: Any) -> Any:
        app = dashboard or dashboards(authenticate=lambda _: (name, role))
        address = options.pop("address", "127.0.0.1")
        transport = httpx.ASGITransport(app, client=(address, 5000))
        clients.append(
            httpx.AsyncClient(
                transport=transport, base_url=f"http://{HOST}", headers=options.pop("headers", FROM_OUR_PAGE), **options
            )
        )
        return clients[-1]

    yield client_of
    for client in clients:
        await client.aclose()


@pytest.fixture
def world(conn: Any) -> dict[str, Any]:
    """A queue in the middle of its life; what is in it by name."""
    return fill(conn)
