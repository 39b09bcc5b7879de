"""`pgq autoscale`: how many workers there should be, for whoever starts them."""

import sys
import time
from typing import Annotated, Any

import typer

from pgqueue.cli import values
from pgqueue.cli.command import command
from pgqueue.cli.output import print_json, print_line
from pgqueue.cli.session import Session
from pgqueue.errors import InvalidArgument
from pgqueue.scaling import Policy
from pgqueue.scaling.advice import Advice, Record, advise, slots_of
from pgqueue.worker.options import parse_queues

SLOTS = 100  # what `pgq work` has when nothing is said
MOST_MINUTES = 60

_TIME: dict[str, Any] = {"metavar": "TIME", "parser": values.option_type(values.seconds)}
_Queues = Annotated[str, typer.Option("--queues", "-q", help="The queues that the workers serve, a,b. Else all.")]
_TargetLag = Annotated[float, typer.Option("--target-lag", help="A backlog is to be gone within this.", **_TIME)]
_Slots = Annotated[
    int | None,
    typer.Option(
        "--slots-per-worker", help="Jobs that a worker runs at the same time. Else what those alive say, or 100."
    ),
]
_Least = Annotated[int, typer.Option("--min", help="Workers at least.")]
_Most = Annotated[int, typer.Option("--max", help="Workers at most: what the database can take.")]
_Window = Annotated[float, typer.Option("--shrink-after", help="Fewer have to have been enough for so long.", **_TIME)]
_Watch = Annotated[
    float | None, typer.Option("--watch", help="Say it again every so often, until interrupted.", **_TIME)
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "autoscale")(autoscale)


def autoscale(
    session: Session,
    queues: _Queues = "",
    target_lag: _TargetLag = 30.0,
    slots_per_worker: _Slots = None,
    min_workers: _Least = 0,
    max_workers: _Most = 1000,
    shrink_after: _Window = 300.0,
    watch: _Watch = None,
) -> None:
    """Print how many workers there should be: a number, and why on stderr."""
    if watch is not None and watch < 1:
        raise InvalidArgument(f"watch: must be at least 1 s, got {watch:g}")
    if not 60 <= shrink_after <= MOST_MINUTES * 60:
        raise InvalidArgument(f"shrink-after: must be from 1m to {MOST_MINUTES}m, got {shrink_after:g} s")
    names = list(parse_queues(queues)[0]) if queues.strip() else None
    policy = Policy(
        least=min_workers,
        most=max_workers,
        slots=SLOTS if slots_per_worker is None else slots_per_worker,
        target_lag=target_lag,
        shrink_after=shrink_after,
    )
    while True:
        _say(session, names, policy, given=slots_per_worker)
        if watch is None:
            return
        time.sleep(watch)


def _say(session: Session, names: list[str] | None, policy: Policy, *, given: int | None) -> None:
    row = session.rows("autoscale", {"queues": names, "minutes": round(policy.shrink_after / 60)})[0]
    slots = given if given is not None else slots_of(row["slots"], row["workers"], otherwise=SLOTS)
    policy = Policy(
        least=policy.least,
        most=policy.most,
        slots=slots,
        target_lag=policy.target_lag,
        shrink_after=policy.shrink_after,
    )
    known = ("ready", "running", "lag", "workers", "ended", "run_seconds")
    advice = advise(Record(**{name: row[name] for name in known}), policy)
    if session.as_json:
        print_json(_plain(advice, row, policy))
    else:
        print_line(str(advice.workers))
        print(f"{advice.workers}: {advice.reason}", file=sys.stderr)  # noqa: T201 - the number alone is for the pipe
    sys.stdout.flush()


def _plain(advice: Advice, row: dict[str, Any], policy: Policy) -> dict[str, Any]:
    return {
        "workers": advice.workers,
        "reason": advice.reason,
        "alive": row["workers"],
        "slots_per_worker": policy.slots,
        "ready": row["ready"],
        "running": row["running"],
        "estimated": row["estimated"],
        "oldest_due_seconds": row["lag"],
        "arrivals_per_second": advice.arrivals,
        "mean_run_seconds": advice.service,
    }
