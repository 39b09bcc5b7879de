"""`pgq enqueue --many`: a file of jobs, one JSON object a line, added in one transaction or not at all.

Lines are checked here, sent in batches, and checked again by the database; a bad one is told by its number. Their texts
are passed on as they are, so that numbers stay exact.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pgqueue.cli import values
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument, PgQueueError

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 1000
NAMES = (
    *("task", "args", "queue", "priority", "run_at", "delay", "key", "key_policy", "key_period"),
    *("max_attempts", "timeout", "expires_at", "meta"),
)
_PLACE = re.compile(r"jobs\[(\d+)\]: (.*)", re.DOTALL)
Line = tuple[int, str]  # its number, and the job as JSON text


def enqueue_file(session: Session, file: str, *, defaults: Mapping[str, Any]) -> None:
    """Enqueue each line of a file, or of stdin for `-`. Raises InvalidArgument that names the first bad line."""
    ids: set[int] = set()
    lines = 0
    with _opened(file) as source, _progress(file) as advance, session.conn.transaction():
        jobs = _jobs(source, _spelled(defaults), advance)
        while batch := list(islice(jobs, BATCH)):
            ids.update(_send(session, batch))
            lines += len(batch)
    if session.as_json:
        print_json({"lines": lines, "jobs": len(ids), "ids": sorted(ids)})
    else:
        print_line(f"{lines} lines, {len(ids)} jobs")


def _jobs(source: IO[bytes], defaults: Mapping[str, str], advance: "Callable[[int], None]") -> Iterator[Line]:
    for number, raw in enumerate(source, 1):
        advance(len(raw))
        if raw.strip():
            yield number, _job(raw, f"line {number}", defaults)


def _job(raw: bytes, place: str, defaults: Mapping[str, str]) -> str:
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidArgument(f"{place}: is not UTF-8; nothing was added") from None
    try:
        values.json_object(text, name=place)
        job = json.loads(text)
        if unknown := [name for name in job if name not in NAMES]:
            raise InvalidArgument(f'{place}: there is no "{unknown[0]}"; the names are {", ".join(NAMES)}')
        if not job.get("task") and "task" not in defaults:
            raise InvalidArgument(f'{place}: "task" is missing')
    except InvalidArgument as error:
        raise InvalidArgument(f"{error}; nothing was added") from None
    missing = ",".join(f'"{name}":{value}' for name, value in defaults.items() if job.get(name) is None)
    # A name that is there with null comes twice then: jsonb takes the last.
    return text if not missing else f"{text[:-1]}{',' if job else ''}{missing}}}"


def _spelled(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of the command line as JSON texts."""
    spelled = {}
    for name, value in job.items():
        match value:
            case datetime():
                spelled[name] = json.dumps(value.isoformat())
            case timedelta():
                spelled[name] = json.dumps(f"{value.total_seconds():.6f} seconds")
            case _:
                spelled[name] = value if name in {"args", "meta"} else json.dumps(value)
    return spelled


def _send(session: Session, batch: list[Line]) -> list[int]:
    import psycopg

    try:
        with session.conn.transaction():
            return _enqueue_many(session, batch)
    except psycopg.Error as error:
        if error.sqlstate is None or session.conn.broken:
            raise
        refused = _blame(session, batch, error)
    raise refused


def _enqueue_many(session: Session, batch: list[Line]) -> list[int]:
    from psycopg.rows import tuple_row

    from pgqueue.calls import statement

    with session.conn.cursor(row_factory=tuple_row) as cursor:
        array = f"[{','.join(job for _, job in batch)}]"
        cursor.execute(statement("enqueue_many", session.schema), {"jobs": array})
        return [row[0] for row in cursor]


def _blame(session: Session, batch: list[Line], error: Any) -> PgQueueError:
    """Find the line that the database refused: it says so, or else each is tried alone."""
    from pgqueue.cli.failure import describe

    said = describe(error)[1]
    if found := _PLACE.fullmatch(said):
        return InvalidArgument(f"line {batch[int(found[1])][0]}: {found[2]}; nothing was added")
    if error.sqlstate[:2] not in {"22", "23", "PQ"}:
        raise error
    for number, job in batch:
        if reason := _refusal(session, job):
            return InvalidArgument(f"line {number}: {reason}; nothing was added")
    return InvalidArgument(f"lines {batch[0][0]} to {batch[-1][0]}: {said}; nothing was added")


def _refusal(session: Session, job: str) -> str | None:
    import psycopg

    from pgqueue.cli.failure import describe

    try:
        with session.conn.transaction():
            _enqueue_many(session, [(0, job)])
    except psycopg.Error as error:
        return describe(error)[1].removeprefix("jobs[0]: ")
    return None


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            source = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise InvalidArgument(f"--many: {file}: {error.strerror}") from None
        yield source


@contextmanager
def _progress(file: str) -> Iterator["Callable[[int], None]"]:
    """Show a bar of bytes on a terminal."""
    with ExitStack() as stack:
        if not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

        size = Path(file).stat().st_size if file != "-" and Path(file).is_file() else None
        console = Console(stderr=True)
        bar = stack.enter_context(
            Progress(
                "enqueueing", BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console, transient=True
            )
        )
        task = bar.add_task("enqueueing", total=size)
        yield lambda amount: bar.advance(task, amount)
