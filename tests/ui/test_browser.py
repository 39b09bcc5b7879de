"""Every page in a real browser: at desktop and phone width, light and dark, by keyboard, without JavaScript, and with
axe-core.

Pictures of all of them are in artefacts/ui/ afterwards. The pages come from the table of routes, so a new one is
looked at without a line here.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from tests.conftest import Databases
from tests.sql.engine import Worker, scalar, state
from tests.ui import browser as support
from tests.ui.routes import PAGES, address
from tests.ui.world import fill

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(300)]

VIEWS = {"desktop": "light", "phone": "dark"}
FOCUSABLE = "a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary, [tabindex='0']"

PRESSES = 60  # of Tab on one page: the rows of a long list are all alike
NUMBERED = """selector => Array.from(document.querySelectorAll(selector)).filter(e => e.checkVisibility())
  .map((element, place) => { element.dataset.place = place; return element.outerHTML.slice(0, 120); })"""
FOCUSED = "() => [document.activeElement.dataset.place, getComputedStyle(document.activeElement).outlineStyle]"
DEAD = "select count(*) from pgqueue.dead_jobs where queue = %s"
DRAWN = "() => Array.from(document.querySelectorAll('[data-chart]')).every(chart => chart.querySelector('canvas'))"


class Stage(NamedTuple):
    """The browser, the dashboard's address, and what is in its database."""

    browser: "Browser"
    base: str
    conn: "psycopg.Connection[Any]"
    world: dict[str, Any]
    axe: str

    def address(self, path: str) -> str:
        return address(path, self.world)


@pytest.fixture(scope="module")
def stage(databases: Databases, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    support.install_chromium()
    axe = support.axe_source()
    name = databases.create(template)
    log = tmp_path_factory.mktemp("ui") / "pgq-ui.log"
    with psycopg.connect(databases.dsn(name), autocommit=True) as conn:
        world = fill(conn)
        conn.execute("select count(pgqueue.enqueue('t', queue => 'bulk')) from generate_series(1, 150)")
        with support.served(databases.dsn(name), log) as base, support.chromium() as browser:
            yield Stage(browser, base, conn, world, axe)
    databases.drop(name)


def html_pages() -> list[str]:
    return [path for path in PAGES if not path.endswith(".json") and "/contents/" not in path]


@pytest.mark.parametrize("size", VIEWS)
@pytest.mark.parametrize("path", html_pages())
def test_a_page_is_sound(path: str, size: str, stage: Stage) -> None:
    with support.opened(stage.browser, stage.base, size, color_scheme=VIEWS[size]) as (page, watch):
        answer = page.goto(stage.address(path))
        page.wait_for_function(DRAWN)
        page.screenshot(path=str(support.ARTEFACTS / size / f"{_name(path)}.png"), full_page=True)

        assert answer is not None
        assert answer.status == 200
        assert support.violations(page, stage.axe) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
        if size == "desktop":
            assert unreachable(page) == []
        assert watch.wrong == []


def unreachable(page: "Page") -> list[str]:
    """What Tab does not lead to, or where nobody would see that it did."""
    places = page.evaluate(NUMBERED, FOCUSABLE)[:PRESSES]
    seen = {}
    for _ in range(len(places) + 3):
        page.keyboard.press("Tab")
        place, outline = page.evaluate(FOCUSED)
        seen[place] = outline
    return [what for place, what in enumerate(places) if seen.get(str(place), "none") == "none"]


@pytest.mark.parametrize("path", html_pages())
def test_a_page_can_be_read_without_javascript(path: str, stage: Stage) -> None:
    with support.opened(stage.browser, stage.base, java_script_enabled=False) as (page, watch):
        answer = page.goto(stage.address(path))

        assert answer is not None
        assert page.locator("h1").inner_text().strip()
        assert page.locator("main").inner_text().count("\n") >= 2
        assert page.locator("[data-live]:empty, .plot:empty").count() == 0
        assert watch.wrong == []


def test_the_theme_is_changed_and_kept(stage: Stage) -> None:
    with support.opened(stage.browser, stage.base, color_scheme="light") as (page, watch):
        page.goto("/")
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)

        page.get_by_role("button", name="Change between dark and light").click()
        dark = page.evaluate(background)
        page.goto("/audit")

        assert page.evaluate(background) == dark != light
        assert watch.wrong == []


def test_the_overview_follows_what_happens(stage: Stage) -> None:
    with support.opened(stage.browser, stage.base) as (page, watch):
        page.goto("/")
        stage.conn.execute("select pgqueue.enqueue('t', queue => 'came-later')")

        page.get_by_role("rowheader", name="came-later").wait_for()

        assert watch.wrong == []


def test_a_page_that_cannot_be_refreshed_says_so_until_it_can(stage: Stage) -> None:
    again = "htmx.trigger(document.querySelector('[data-live]'), 'live')"
    with support.opened(stage.browser, stage.base) as (page, _):
        page.goto("/queues")
        note = page.locator("#stale")
        page.route("**/queues", lambda route: route.abort())
        page.evaluate(again)
        note.wait_for(state="visible")
        assert re.fullmatch(r"Not refreshed since [\d:]{8} UTC: the dashboard does not answer\.", note.inner_text())

        page.unroute("**/queues")
        page.route("**/queues", lambda route: route.fulfill(status=503))
        page.evaluate(again)
        page.locator("#stale", has_text="answers 503").wait_for()
        page.unroute("**/queues")
        page.evaluate(again)

        note.wait_for(state="hidden")


@pytest.mark.parametrize("path", ["/", "/queues", "/dead", "/jobs/{job}", "/queues/{queue}", "/schedules", "/audit"])
def test_long_texts_do_not_widen_a_phone(path: str, stage: Stage) -> None:
    queue = "q" * 150
    if not scalar(stage.conn, DEAD, queue):
        sink(stage.conn, queue, 1, error="app.errors." + "Very" * 60 + "LongError")
    job = scalar(stage.conn, "select max(id) from pgqueue.dead_jobs where queue = %s", queue)
    with support.opened(stage.browser, stage.base, "phone") as (page, watch):
        page.goto(path.format(job=job, queue=queue))

        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
        current = page.locator(".top nav [aria-current]").bounding_box()
        assert current is not None
        assert 0 <= current["x"] <= support.SIZES["phone"]["width"] - current["width"]
        assert watch.wrong == []


def test_a_queue_is_paused_and_resumed(stage: Stage) -> None:
    paused = "select count(*) from pgqueue.paused_queues where queue = 'bulk'"
    with support.opened(stage.browser, stage.base) as (page, watch):
        page.goto("/queues")

        page.get_by_role("button", name="Pause bulk").click()

        assert "bulk" in page.get_by_role("status").inner_text()
        assert scalar(stage.conn, paused) == 1
        page.get_by_role("button", name="Resume bulk").click()
        page.get_by_role("button", name="Pause bulk").wait_for()
        assert scalar(stage.conn, paused) == 0
        assert watch.wrong == []


def test_a_dead_job_is_retried_and_then_cancelled(stage: Stage) -> None:
    job = stage.world["dead"]
    with support.opened(stage.browser, stage.base) as (page, watch):
        page.goto(f"/jobs/{job}")

        page.get_by_role("button", name="Retry").click()

        page.get_by_role("button", name="Cancel").wait_for()
        assert state(stage.conn, job) == "ready"
        page.get_by_role("button", name="Cancel").click()
        page.get_by_text("cancelled", exact=True).first.wait_for()
        assert state(stage.conn, job) == "cancelled"
        assert watch.wrong == []


@pytest.mark.parametrize("javascript", [True, False])
def test_dead_letters_are_redriven_in_bulk_after_a_look_at_their_number(javascript: bool, stage: Stage) -> None:
    queue = f"sinking-{javascript}"
    sink(stage.conn, queue, 30)
    with support.opened(stage.browser, stage.base, java_script_enabled=javascript) as (page, watch):
        page.goto(f"/dead?queue={queue}")

        page.get_by_role("link", name="Retry these").click()
        shown = page.locator("[data-count]").get_attribute("data-count")
        before = scalar(stage.conn, DEAD, queue)
        page.get_by_role("button", name="Retry them").click()

        page.get_by_role("status").wait_for()
        assert (shown, before) == ("30", 30)
        assert scalar(stage.conn, DEAD, queue) == 0
        assert scalar(stage.conn, "select a.action from pgqueue.audit a order by a.id desc limit 1") == "dead.redrive"
        assert watch.wrong == []


def sink(conn: "psycopg.Connection[Any]", queue: str, count: int, *, error: str = "ValueError") -> None:
    """Let so many jobs of a queue die."""
    conn.execute("select count(pgqueue.enqueue('t', queue => %s)) from generate_series(1, %s)", (queue, count))
    worker = Worker(conn, queues=[queue], tasks=["t"])
    told = {"type": error, "message": "no"}
    leases = worker.step(1000, queue=queue).leases
    worker.step(0, queue=queue, outcomes=[lease.outcome("dead", error=told) for lease in leases])


def _name(path: str) -> str:
    return re.sub(r"\W+", "-", path).strip("-") or "overview"


def test_every_page_has_its_picture(stage: Stage) -> None:
    """Runs last: all the others have left theirs."""
    missing = [
        f"{size}/{_name(path)}"
        for path in html_pages()
        for size in VIEWS
        if not (Path(support.ARTEFACTS) / size / f"{_name(path)}.png").exists()
    ]

    assert missing == []
