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
from tests.ui import browser as support
from tests.ui.routes import PAGES, address
from tests.ui.world import fill

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(300)]

VIEWS = {"desktop": "light", "phone": "dark"}
FOCUSABLE = "a[href], button:not([disabled]), input:not([type=hidden]), select, textarea, summary, [tabindex='0']"

NUMBERED = """selector => Array.from(document.querySelectorAll(selector)).filter(e => e.checkVisibility())
  .map((element, place) => element.dataset.place = place).length"""


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
        answer = page.goto(stage.address(path), wait_until="networkidle")
        picture = support.ARTEFACTS / size / f"{_name(path)}.png"
        page.screenshot(path=str(picture), full_page=True)

        assert answer is not None
        assert answer.status == 200
        assert watch.wrong == []
        assert support.violations(page, stage.axe) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"


@pytest.mark.parametrize("path", html_pages())
def test_a_page_can_be_used_by_keyboard(path: str, stage: Stage) -> None:
    with support.opened(stage.browser, stage.base) as (page, _):
        page.goto(stage.address(path))
        count = page.evaluate(NUMBERED, FOCUSABLE)
        reached = set()
        for _ in range(min(count, 120) + 5):
            page.keyboard.press("Tab")
            place, outline = page.evaluate(
                "() => [document.activeElement.dataset.place, getComputedStyle(document.activeElement).outlineStyle]"
            )
            if place is not None:
                assert outline != "none", "the focus cannot be seen"
                reached.add(place)

        assert len(reached) >= min(count, 120)


@pytest.mark.parametrize("path", html_pages())
def test_a_page_can_be_read_without_javascript(path: str, stage: Stage) -> None:
    with (
        support.opened(stage.browser, stage.base) as (page, _),
        support.opened(stage.browser, stage.base, java_script_enabled=False) as (plain, _),
    ):
        page.goto(stage.address(path), wait_until="networkidle")
        plain.goto(stage.address(path))

        assert plain.locator("h1").inner_text() == page.locator("h1").inner_text()
        assert plain.locator("main tbody tr").count() == page.locator("main tbody tr").count()


def test_the_theme_is_changed_and_kept(stage: Stage) -> None:
    with support.opened(stage.browser, stage.base, color_scheme="light") as (page, watch):
        page.goto("/", wait_until="networkidle")
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)

        page.get_by_role("button", name="Change between dark and light").click()
        dark = page.evaluate(background)
        page.goto("/audit")

        assert page.evaluate(background) == dark != light
        assert watch.wrong == []


def test_the_overview_follows_what_happens(stage: Stage) -> None:
    with support.opened(stage.browser, stage.base) as (page, watch):
        page.goto("/", wait_until="networkidle")
        stage.conn.execute("select pgqueue.enqueue('t', queue => 'came-later')")

        page.get_by_role("rowheader", name="came-later").wait_for()

        assert watch.wrong == []


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
