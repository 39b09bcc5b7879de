"""`pgq metrics`: serves the database's numbers to Prometheus, or prints them once."""

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from pgqueue.cli import failure, output
from pgqueue.cli.command import command
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.worker import logs

if TYPE_CHECKING:
    from pgqueue.observe.metrics import Exporter

log = logging.getLogger(__name__)

LISTEN = "127.0.0.1:9758"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "metrics")(metrics)


def metrics(
    session: Session,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to answer; :9758 is every address.")
    ] = LISTEN,
    once: Annotated[bool, typer.Option("--once", help="Print the metrics and end.")] = False,
    max_queues: Annotated[
        int, typer.Option("--max-queues", help="Queues with series of their own; others are added up.")
    ] = 50,
    max_tasks: Annotated[
        int, typer.Option("--max-tasks", help="Tasks of a queue with series of their own; others are added up.")
    ] = 100,
) -> int:
    """Serve the numbers of the whole queue at /metrics for Prometheus, until TERM or INT. One is enough."""
    from pgqueue.observe.metrics import Bounds, Exporter, Source

    for name, most in (("max-queues", max_queues), ("max-tasks", max_tasks)):
        if most < 1:
            raise InvalidArgument(f"{name}: must be at least 1, got {most}")
    logs.configure()
    source = Source(session.dsn, session.schema)
    try:
        exporter = Exporter(source, Bounds(queues=max_queues, tasks=max_tasks))
        return _print(session, exporter) if once else _serve(exporter, listen)
    finally:
        source.close()


def _print(session: Session, exporter: "Exporter") -> int:
    session.connect()  # says it in a line when that is not possible
    if session.as_json:
        samples = [sample for family in exporter.collect() for sample in family.samples]
        output.print_json([{"name": s.name, "labels": s.labels, "value": s.value} for s in samples])
    else:
        page, _ = exporter.page()
        sys.stdout.write(page.decode())
    return failure.DONE


def _serve(exporter: "Exporter", listen: str) -> int:
    from pgqueue.webserver import WebServer, parse_address, shown

    server = WebServer(*parse_address(listen), exporter.answer)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server.start()
    log.info("metrics are served", extra={"url": f"http://{shown(*server.address)}/metrics"})
    ended.wait()
    server.stop()
    return failure.DONE
