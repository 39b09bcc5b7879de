"""A real browser, and `pgq ui` as a process for it to look at."""

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import PGQ, environment
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "artefacts" / "ui"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
SIZES = {"desktop": {"width": 1360, "height": 860}, "phone": {"width": 390, "height": 844}}
AXE = "4.14.1"


def install_chromium() -> None:
    """Take Debian's; skip the tests where that cannot be had."""
    if not Path(CHROMIUM).exists() and shutil.which("apt-get") and os.geteuid() == 0:
        variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *words], env=variables, capture_output=True, timeout=240, check=False)
    if not Path(CHROMIUM).exists():
        pytest.skip("no /usr/bin/chromium, and apt-get could not install it")


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start the browser; skip without playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def axe_source(cache: Path = ROOT / "artefacts" / "cache") -> str:
    """Return axe-core, fetched once by npm; skip where that cannot be had."""
    file = cache / f"axe-{AXE}.js"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is missing: axe-core cannot be fetched")
        words = [npm, "pack", f"axe-core@{AXE}", "--silent", "--pack-destination", str(cache)]
        fetched = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
        archive = cache / f"axe-core-{AXE}.tgz"
        if fetched.returncode or not archive.exists():
            pytest.skip("npm could not fetch axe-core (offline?)")
        with tarfile.open(archive) as packed:
            member = packed.extractfile("package/axe.min.js")
            assert member is not None
            file.write_bytes(member.read())
    return file.read_text(encoding="utf-8")


@contextmanager
def served(dsn: str, log: Path, *words: str) -> Iterator[str]:
    """Run `pgq ui` on a free port of loopback; its address."""
    with log.open("wb") as file:
        command = [*PGQ, "ui", "--listen", "127.0.0.1:0", *words]
        process = subprocess.Popen(command, env=environment(PGQ_DSN=dsn), stdout=file, stderr=file, cwd=ROOT)
    try:
        wait_until(lambda: process.poll() is not None or "http://" in log.read_text(), 20)
        found = re.search(r"pgq ui: (http://\S+)/\n", log.read_text())
        assert found, log.read_text()
        yield found[1]
    finally:
        process.terminate()
        process.wait(10)


class Watch:
    """What a page did that it should not have done."""

    def __init__(self, page: "Page", base: str) -> None:
        self.wrong: list[str] = []
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url, base))

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.wrong.append(f"{kind}: {text}")

    def _asked(self, url: str, base: str) -> None:
        if not url.startswith(f"{base}/"):
            self.wrong.append(f"request: {url}")


@contextmanager
def opened(browser: "Browser", base: str, size: str = "desktop", **options: Any) -> Iterator[tuple["Page", Watch]]:
    """Open a window of this size, watched."""
    context: BrowserContext = browser.new_context(viewport=SIZES[size], base_url=base, **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    try:
        yield page, Watch(page, base)
    finally:
        context.close()


def violations(page: "Page", source: str) -> list[str]:
    """What axe-core finds wrong, a line each."""
    page.evaluate(source)
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{rule['id']}: {node['html'][:160]} ({node['failureSummary']})" for rule in found for node in rule["nodes"]
    ]
