"""The examples of docs/dashboard.md as they stand there, in applications that have pages, static files, users and a
lifespan of their own, served by uvicorn and asked over HTTP."""

import html
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest

from pgqueue.ui.doors import HEADERS
from tests.conftest import Databases
from tests.docs.blocks import blocks
from tests.sql.engine import scalar
from tests.support.command import environment
from tests.support.waiting import wait_until
from tests.ui.world import fill

pytestmark = [pytest.mark.slow, pytest.mark.system]

ROOT = Path(__file__).resolve().parents[2]
OURS = "pgq ui"  # the dashboard's connections
LINK = re.compile(r'(?:href|src|action|hx-get|hx-post|data-source)="([^"#][^"]*)"')

# What stands around an example: who somebody is, pages and static files under names that the dashboard has too.
STARLETTE = """
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def own(request): return PlainTextResponse("the host's own")

app.router.routes += [Route("/", own), Route("/jobs", own), Route("/static/app.css", own)]
inner = app.router.lifespan_context

@asynccontextmanager
async def around(app):
    print("host began", flush=True)
    async with inner(app):
        yield
    print("host ended", "with" if dashboard.site.database._pool else "without", "connections", flush=True)

app.router.lifespan_context = around
"""
HOSTS = {
    "fastapi": '''
from fastapi_shop import app, dashboard
from contextlib import asynccontextmanager

@app.middleware("http")
async def users(request, call_next):
    name = request.cookies.get("user")
    request.state.user = {"name": name, "staff": True} if name else None
    return await call_next(request)
''' + STARLETTE,
    "starlette": '''
from starlette_shop import app, dashboard
from contextlib import asynccontextmanager
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware

class Backend(AuthenticationBackend):
    async def authenticate(self, conn):
        name = conn.cookies.get("user")
        return (AuthCredentials(["authenticated"]), SimpleUser(name)) if name else None

app.add_middleware(AuthenticationMiddleware, backend=Backend())
''' + STARLETTE,
    "django": '''
from shop.asgi import application as app, dashboard
from contextlib import asynccontextmanager
from django.core.management import call_command
from django.contrib.auth.models import User

call_command("migrate", verbosity=0)
User.objects.create_user("ada", password="long enough", is_staff=True)
''' + STARLETTE[STARLETTE.index("inner ="):],
}  # fmt: skip
SETTINGS = """
SECRET_KEY = "of a test" * 8
DEBUG = True  # so that it serves its static files
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                  "django.contrib.staticfiles"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite"}}
STATIC_URL = "/static/"
STATICFILES_DIRS = ["own"]
USE_TZ = True
"""
URLS = """
from django.contrib.auth import authenticate, login
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.http import HttpResponse
from django.urls import path

def own(request): return HttpResponse("the host's own")

def enter(request):
    login(request, authenticate(request, username="ada", password="long enough"))
    return HttpResponse("in")

urlpatterns = [path("", own), path("jobs", own), path("enter", enter), *staticfiles_urlpatterns()]
"""


class Host(NamedTuple):
    """An application that runs, its database, and what is in that."""

    base: str
    outer: str  # what a proxy in front of it takes away from addresses
    conn: "psycopg.Connection[Any]"
    world: dict[str, Any]
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def prefix(self) -> str:
        return f"{self.outer}/queue"

    @contextmanager
    def browse(self, *, signed_in: bool = True) -> Iterator[httpx.Client]:
        """A browser that comes through the proxy."""

        def through_the_proxy(request: httpx.Request) -> None:
            request.url = request.url.copy_with(raw_path=request.url.raw_path.removeprefix(self.outer.encode()) or b"/")

        with httpx.Client(base_url=self.base, event_hooks={"request": [through_the_proxy]}, timeout=20) as browser:
            if signed_in and browser.get("/enter").status_code == 404:
                browser.cookies.set("user", "ada")
            yield browser


CASES = ("fastapi", "starlette", "django", "fastapi behind a proxy with a prefix")


@pytest.fixture(scope="module", params=CASES)
def host(
    request: pytest.FixtureRequest, databases: Databases, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    kind, _, behind = request.param.partition(" ")
    for needed in ("fastapi", "django"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp(kind)
    write(folder, kind)
    name = databases.create(template)
    outer = "/outer" if behind else ""
    with psycopg.connect(databases.dsn(name), autocommit=True) as conn, socket.socket() as listening:
        world = fill(conn)
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        log = folder / "log"
        words = ["host:app", "--fd", str(listening.fileno()), "--root-path", outer]
        env = environment(PGQ_DSN=databases.dsn(name), PYTHONPATH=os.pathsep.join([str(ROOT), str(folder)]))
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", *words],
                cwd=folder, env=env, stdout=file, stderr=file, pass_fds=[listening.fileno()],
            )  # fmt: skip
        try:
            wait_until(lambda: process.poll() is not None or b"host began" in log.read_bytes(), 30)
            assert process.poll() is None, log.read_text()
            yield Host(base, outer, conn, world, process, log)
        finally:
            process.terminate()
            process.wait(20)
    databases.drop(name)


def write(folder: Path, kind: str) -> None:
    (folder / "shop").mkdir()
    (folder / "own").mkdir()
    (folder / "own" / "app.css").write_text("the host's own")
    (folder / "shop" / "settings.py").write_text(SETTINGS)
    (folder / "shop" / "urls.py").write_text(URLS)
    (folder / "host.py").write_text(HOSTS[kind])
    for block in blocks(ROOT / "docs/dashboard.md"):
        if block.file:
            (folder / block.file).write_text(block.text)


def test_the_hosts_own_pages_stay_its_own(host: Host) -> None:
    with host.browse() as browser:
        answers = [browser.get(path) for path in ("/", "/jobs", "/static/app.css")]

    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "the host's own")] * 3
    assert not any(header == "content-security-policy" for answer in answers for header in answer.headers)


def test_who_the_host_does_not_know_reads_and_changes_nothing(host: Host) -> None:
    with host.browse(signed_in=False) as stranger:
        pages = [stranger.get(f"{host.prefix}{path}") for path in ("/", "/jobs", "/numbers.json", "/audit")]
        change = stranger.post(f"{host.prefix}/actions/queues/pause", data={"queue": "mail"}, headers=own(host))

    assert {answer.status_code for answer in [*pages, change]} == {401}
    assert scalar(host.conn, "select count(*) from pgqueue.paused_queues") == 0


def test_every_link_is_below_the_prefix_and_leads_somewhere(host: Host) -> None:
    seen: dict[str, int] = {}
    wrong: list[str] = []
    waiting = [f"{host.prefix}/"]
    with host.browse() as browser:
        assert browser.get(host.prefix).headers["location"].removeprefix(host.base).endswith("/queue/")
        while waiting and len(seen) < 40:
            place = waiting.pop(0)
            answer = browser.get(place)
            seen[place] = answer.status_code
            if "/static/" in place:
                continue
            assert {header: answer.headers.get(header) for header in HEADERS} == dict(HEADERS), place
            found = {html.unescape(link) for link in LINK.findall(answer.text)}
            wrong += [f"{place}: {link}" for link in found if not link.startswith(f"{host.prefix}/")]
            actions = {html.unescape(link) for link in re.findall(r'action="([^"]+)"', answer.text)}
            waiting += [link for link in sorted(found - actions) if link not in seen and link not in waiting]

    assert wrong == []
    assert {place: status for place, status in seen.items() if status != 200} == {}
    assert sum("/static/" in place for place in seen) >= 6


def own(host: Host) -> dict[str, str]:
    return {"origin": host.base, "sec-fetch-site": "same-origin", "referer": f"{host.base}{host.prefix}/queues"}


def test_a_form_changes_and_leads_back_below_the_prefix(host: Host) -> None:
    paused = "select count(*) from pgqueue.paused_queues where queue = 'mail'"
    with host.browse() as browser:
        refused = browser.post(
            f"{host.prefix}/actions/queues/pause", data={"queue": "mail"}, headers={"origin": "http://evil.example"}
        )
        assert (refused.status_code, scalar(host.conn, paused)) == (403, 0)

        done = browser.post(f"{host.prefix}/actions/queues/pause", data={"queue": "mail"}, headers=own(host))
        assert (done.status_code, done.headers["location"]) == (303, f"{host.prefix}/queues")
        assert f"Path={host.prefix}/" in done.headers["set-cookie"].split("; ")
        assert scalar(host.conn, paused) == 1
        told = done.headers["set-cookie"].partition(";")[0]
        page = browser.get(done.headers["location"], headers={"cookie": f"{told}; {cookies(browser)}"})
        assert "Queue mail is paused." in page.text
        resumed = browser.post(f"{host.prefix}/actions/queues/resume", data={"queue": "mail"}, headers=own(host))
        assert (resumed.status_code, scalar(host.conn, paused)) == (303, 0)

    assert scalar(host.conn, "select a.actor from pgqueue.audit a order by a.id desc limit 1") == "ada"


def cookies(browser: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_a_part_is_asked_for_again_below_the_prefix(host: Host) -> None:
    with host.browse() as browser:
        page = browser.get(f"{host.prefix}/queues?x=1").text
        (place,) = {html.unescape(found) for found in re.findall(r'hx-get="([^"]+)"', page)}
        part = browser.get(place, headers={"hx-request": "true", "hx-target": "live-queues"})

    assert place == f"{host.prefix}/queues?x=1"
    assert "<html" not in part.text
    assert "mail" in part.text


def test_the_hosts_lifespan_runs_and_ends_the_connections(host: Host) -> None:
    """Runs last: it ends the server."""
    count = f"select count(*) from pg_stat_activity where datname = current_database() and application_name = '{OURS}'"
    with host.browse() as browser:
        browser.get(f"{host.prefix}/jobs")
    assert scalar(host.conn, count) >= 1

    host.process.terminate()
    host.process.wait(20)

    said = host.log.read_text()
    assert "host ended without connections" in said
    assert "Traceback" not in said
    wait_until(lambda: scalar(host.conn, count) == 0, 5)
