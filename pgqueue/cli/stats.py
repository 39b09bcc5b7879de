"""`pgq stats`: the overall numbers."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import typer

from pgqueue.cli import output
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, show
from pgqueue.cli.session import Session

_UNFINISHED = ("scheduled", "blocked", "ready", "running")
_HISTORY = ("succeeded", "cancelled")
_PERCENTS = (50, 95, 99)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "stats")(stats)


def stats(session: Session) -> None:
    """Print the overall numbers: jobs by state, backlog, rates, times, workers, schema. ~ marks estimates."""
    numbers = _numbers(session)
    if session.as_json:
        print_json(numbers)
        return
    about = "~" if numbers["estimated"] else ""
    about_history = "~" if numbers["history_estimated"] else ""
    rows = [(name, f"{about}{numbers[name]}") for name in _UNFINISHED]
    rows += [(name, f"{about_history}{numbers[name]}") for name in _HISTORY]
    rows += [
        ("dead", f"{about}{numbers['dead']}"),
        ("backlog", f"{about}{numbers['backlog']} (due or running)"),
        ("oldest due", show(numbers["oldest_due_age"])),
        ("done/min", f"{numbers['throughput']} (last 5 minutes)"),
        ("failed/min", f"{numbers['failures']} (last 5 minutes)"),
        ("waited", _shown(numbers, "wait")),
        ("ran", _shown(numbers, "run")),
        ("workers", f"{numbers['workers']} alive"),
        ("schema", f"{session.schema} at {show(numbers['migration'])}"),
    ]
    output.print_fields(rows)


def percentile(percent: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """Return the value that so many per cent do not exceed, in the bounds' unit, from a histogram whose last bucket is
    open: interpolated within its bucket, as Prometheus' histogram_quantile does; the last bound when it is in the
    open bucket; None when nothing was counted.
    """
    sums = list(accumulate(counts))
    if not sums or not sums[-1]:
        return None
    rank = sums[-1] * percent / 100
    place = bisect_left(sums, rank)
    if place >= len(bounds):
        return bounds[-1]
    low = bounds[place - 1] if place else 0.0
    within = (rank - (sums[place] - counts[place])) / counts[place]
    return low + (bounds[place] - low) * within


def _numbers(session: Session) -> dict[str, Any]:
    from pgqueue.migrate.session import read_revision

    numbers = dict(session.rows("stats")[0])
    bounds = numbers.pop("bounds")
    for which in ("wait", "run"):
        counts = numbers.pop(f"{which}_buckets")
        for percent in _PERCENTS:
            numbers[f"{which}_p{percent}"] = percentile(percent, bounds, counts)
    return {**numbers, "schema": session.schema, "migration": read_revision(session.conn, session.schema)}


def _shown(numbers: dict[str, Any], which: str) -> str:
    values = [numbers[f"{which}_p{percent}"] for percent in _PERCENTS]
    if values[0] is None:
        return "- (nothing ended in the last 5 minutes)"
    told = ", ".join(f"p{percent} {value:.3g}s" for percent, value in zip(_PERCENTS, values, strict=True))
    return f"{told} (last 5 minutes, from buckets)"
