"""The other ways in: a proxy's header, believed from its address alone, and the application that we are mounted in."""

import sys
from collections.abc import Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount

from pgqueue.cli.ui import _service
from pgqueue.errors import ConfigError
from pgqueue.ui import Dashboard
from pgqueue.ui.entrance import HeaderEntrance, Proxies
from pgqueue.ui.visitor import Role
from tests.ui.conftest import FROM_OUR_PAGE, HOST, Browse

ROLES = {"ada": Role.ADMIN, "group:ops": Role.OPERATOR, "*": Role.VIEWER}
USER, GROUPS = "x-forwarded-user", "x-forwarded-groups"
Headers = list[tuple[str, str]]
LET_IN: dict[str, tuple[str, Headers, str | None]] = {
    "a user by name": ("10.1.2.3", [(USER, "ada")], "admin"),
    "anybody": ("10.1.2.3", [(USER, "bob")], "viewer"),
    "a group": ("10.1.2.3", [(USER, "bob"), (GROUPS, "dev, ops")], "operator"),
    "the proxy's address in IPv6": ("::ffff:10.1.2.3", [(USER, "ada")], "admin"),
    "not from the proxy": ("10.9.9.9", [(USER, "ada")], None),
    "from loopback, which is not the proxy": ("127.0.0.1", [(USER, "ada")], None),
    "no header": ("10.1.2.3", [], None),
    "an empty header": ("10.1.2.3", [(USER, " ")], None),
    "a user by the name of a group": ("10.1.2.3", [(USER, "group:ops")], "viewer"),
    "two headers": ("10.1.2.3", [(USER, "bob"), (USER, "ada")], None),
    "no address": ("nonsense", [(USER, "ada")], None),
    "forwarded for the proxy": ("10.9.9.9", [(USER, "ada"), ("x-forwarded-for", "10.1.2.3")], None),
}


@pytest.mark.parametrize("name", LET_IN)
async def test_a_header_is_believed_from_the_proxy_alone(
    name: str, browse: Browse, dashboards: Callable[..., Dashboard]
) -> None:
    address, headers, role = LET_IN[name]
    entrance = HeaderEntrance(USER, Proxies(["10.1.2.0/24"]), ROLES, groups_header=GROUPS)
    client = browse(dashboard=dashboards(entrance=entrance), address=address, headers=headers)

    answer = await client.get("/")

    if role is None:
        assert answer.status_code == 401
    else:
        assert f"<small>{role}</small>" in answer.text


async def test_who_has_no_role_is_not_let_in(browse: Browse, dashboards: Callable[..., Dashboard]) -> None:
    entrance = HeaderEntrance(USER, Proxies(["127.0.0.1"]), {"ada": Role.ADMIN})

    answer = await browse(dashboard=dashboards(entrance=entrance), headers={USER: "bob"}).get("/")

    assert answer.status_code == 401


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="--trust-proxy"):
        Proxies(["proxy.example"])


def test_a_dashboard_without_authentication_cannot_be_mounted(dsn: str) -> None:
    with pytest.raises(ConfigError, match="authenticate="):
        Dashboard(dsn)


async def mounted(dashboard: Dashboard) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount("/ops/queue", dashboard)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{HOST}", headers=FROM_OUR_PAGE)


async def test_mounted_all_addresses_are_below_its_path(dashboards: Callable[..., Dashboard]) -> None:
    seen = []

    async def who(request: Request) -> tuple[str, str]:
        seen.append(request.headers["host"])
        return "ada", "operator"

    async with await mounted(dashboards(authenticate=who, hosts=None)) as client:
        answer = await client.get("/ops/queue/")
        parts = [
            part.split('"')[0]
            for name in ("href", "src", "action", "hx-get")
            for part in answer.text.split(f'{name}="')[1:]
        ]
        static = [part for part in parts if "/static/" in part]

        assert answer.status_code == 200
        assert [part for part in parts if not part.startswith(("/ops/queue/", "#"))] == []
        assert [(await client.get(part)).status_code for part in static] == [200] * len(static)
        assert (await client.get("/ops/queue", follow_redirects=True)).status_code == 200
        assert 'aria-current="page">Overview' in answer.text
    assert seen


async def test_mounted_a_role_that_is_none_is_an_error_and_lets_nobody_in(dashboards: Callable[..., Dashboard]) -> None:
    async with await mounted(dashboards(authenticate=lambda _: ("ada", "root"), hosts=None)) as client:
        answer = await client.get("/ops/queue/audit")

    assert answer.status_code == 500
    assert "<table" not in answer.text


async def test_an_error_of_the_applications_function_lets_nobody_in(dashboards: Callable[..., Dashboard]) -> None:
    def who(_: Request) -> tuple[str, str]:
        raise LookupError("secret-canary")

    async with await mounted(dashboards(authenticate=who, hosts=None)) as client:
        answer = await client.get("/ops/queue/audit")

    assert answer.status_code == 500
    assert "canary" not in answer.text


async def test_the_application_may_send_strangers_to_its_own_form(dashboards: Callable[..., Dashboard]) -> None:
    def who(_: Request) -> tuple[str, str]:
        raise HTTPException(303, headers={"location": "/login?next=/ops/queue/"})

    async with await mounted(dashboards(authenticate=who, hosts=None)) as client:
        pages = [await client.get(f"/ops/queue/{page}") for page in ("", "audit", "no-such-page")]
        part = await client.get("/ops/queue/queues", headers={"hx-request": "true"})
        change = await client.post("/ops/queue/actions/queues/pause", data={"queue": "mail"})

    assert {(page.status_code, page.headers["location"]) for page in pages} == {(303, "/login?next=/ops/queue/")}
    assert part.status_code == 401, "its form has no place in a part of a page"
    assert change.status_code == 303


async def test_the_application_may_refuse_with_words_of_its_own(dashboards: Callable[..., Dashboard]) -> None:
    def who(_: Request) -> tuple[str, str]:
        raise HTTPException(403, "Only for the <night> shift.")

    async with await mounted(dashboards(authenticate=who, hosts=None)) as client:
        answer = await client.get("/ops/queue/audit")

    assert answer.status_code == 403
    assert "Only for the &lt;night&gt; shift." in answer.text


def test_a_missing_extra_is_not_asked_for_by_a_name_that_is_another_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install 'pgqueue[ui]'` would fetch somebody else's package from PyPI."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "pgqueue.ui.serve", raising=False)

    with pytest.raises(ConfigError) as refused:
        _service(listen="127.0.0.1:0")

    assert "uvicorn" in str(refused.value)
    assert "install 'PATH/TO/pgqueue[ui]'" in str(refused.value)
