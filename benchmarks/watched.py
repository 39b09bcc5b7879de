"""Watched: what an open overview page and a scrape of the exporter, every 5 s each, cost a drain.

Pairs of drains by one process, in turns, the dashboard (`pgq ui`) and the exporter (`pgq metrics`) running beside both:
they answer nothing in one of them.
"""

from __future__ import annotations

import socket
import statistics
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks import drain, programs
from benchmarks.figures import spread
from benchmarks.harness import Run, main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVERY_SECONDS = 5.0
START_SECONDS = 30.0
BAR = 0.95
PGQ = [sys.executable, "-c", "from pgqueue.cli import main; main()"]


def run(bench: Run) -> None:
    """Drain 600,000 jobs five times watched and five times alone."""
    jobs, repeats = bench.count(600_000, 20_000), bench.repeats(5, 1)
    rates: dict[str, list[float]] = {"watched": [], "alone": []}
    answers: list[float] = []
    refusals: list[int] = []
    with _watchers(bench) as addresses:
        for turn in range(repeats):
            for variant in ("watched", "alone") if turn % 2 else ("alone", "watched"):
                with _looking(addresses if variant == "watched" else (), answers, refusals):
                    rates[variant].append(drain.measure(bench, drain.ONE, jobs, 0.0).rate)
                bench.say(f"   {turn + 1}/{repeats} {variant:8} {rates[variant][-1]:9,.0f} jobs/s")
    pairs = [one / other for one, other in zip(rates["watched"], rates["alone"], strict=True)]
    bench.table(["drain", "jobs/s"], [[name, spread(values)] for name, values in rates.items()])
    bench.say(
        f"   {len(answers)} answers, {spread([1000 * taken for taken in answers], 0)} ms each; refused: {refusals}"
    )
    bench.keep("rates", rates)
    bench.keep("answers, s", answers)
    bench.bar("a drain while somebody looks / alone", statistics.median(pairs), BAR)


@contextmanager
def _watchers(bench: Run) -> Iterator[list[str]]:
    """The addresses of the overview and of the exporter's page, both answering."""
    ports = [_free_port(), _free_port()]
    addresses = [f"http://127.0.0.1:{ports[0]}/", f"http://127.0.0.1:{ports[1]}/metrics"]
    with ExitStack() as stack:
        for command, port in zip(("ui", "metrics"), ports, strict=True):
            words = [*PGQ, command, "--listen", f"127.0.0.1:{port}"]
            stack.enter_context(programs.kept(programs.Program(words, bench.dsn, quiet=True)))
        deadline = time.monotonic() + START_SECONDS
        for address in addresses:
            while True:
                try:
                    _ask(address)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
        yield addresses


@contextmanager
def _looking(addresses: Sequence[str], answers: list[float], refusals: list[int]) -> Iterator[None]:
    """Ask each address now and every 5 s, from a thread. A page may refuse while the tables are being emptied."""
    done = threading.Event()

    def look() -> None:
        while addresses and not done.is_set():
            for address in addresses:
                began = time.monotonic()
                try:
                    _ask(address)
                except HTTPError as refusal:
                    refusals.append(refusal.code)
                else:
                    answers.append(time.monotonic() - began)
            done.wait(EVERY_SECONDS)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _ask(address: str) -> None:
    with urlopen(Request(address, headers={"Accept-Encoding": "gzip"}), timeout=10) as answer:
        answer.read()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main(watched=run)
