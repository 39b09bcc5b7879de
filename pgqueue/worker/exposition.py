"""The metrics of a fleet in Prometheus' format: `--metrics-port`.

Counters and histograms are of the whole fleet, those of processes that have ended included, so that they only grow;
what a process is like carries its place as a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder

from pgqueue.version import VERSION
from pgqueue.worker.tally import JOB_BOUNDS, TRIP_BOUNDS, Histogram, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.core import Metric

    from pgqueue.worker.desk import Desk
    from pgqueue.worker.probes import State

GAUGES: tuple[tuple[str, str, Callable[[State], float | None]], ...] = (
    ("alive", "Whether its loop turns and its lease is held: 1 or 0.", lambda s: float(s.alive())),
    ("ready", "Whether it is registered, connected and claims jobs: 1 or 0.", lambda s: float(s.ready())),
    ("loop_silent_seconds", "Since its event loop said last that it turns.", lambda s: s.silent_seconds),
    ("lease_age_seconds", "Since its last recorded heartbeat.", lambda s: s.heartbeat_seconds),
    ("lease_remaining_seconds", "Until its lease ends, unless a heartbeat extends it.", lambda s: s.lease_seconds),
    ("slots", "Jobs that it can run at the same time.", lambda s: s.vitals.slots if s.vitals else None),
    ("slots_used", "Jobs that it runs now.", lambda s: s.vitals.used if s.vitals else None),
    ("memory_bytes", "Its resident memory.", lambda s: s.vitals.memory_bytes if s.vitals else None),
)


def page(desk: Desk, accept: str) -> tuple[bytes, str]:
    """The exposition in the format that is accepted, and its content type."""
    encode, content_type = choose_encoder(accept)
    return encode(_Fixed(list(families(desk)))), content_type


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What an encoder takes for a registry."""

    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families


def families(desk: Desk) -> Iterator[Metric]:
    """All metrics of a fleet."""
    yield InfoMetricFamily("pgqueue_worker", "The fleet itself.", {"version": VERSION})
    yield CounterMetricFamily("pgqueue_worker_processes_started", "Processes that the fleet started.", desk.started)
    yield from _of_processes(desk.states())
    yield from _of_jobs(desk.sum())


def _of_processes(states: Sequence[State]) -> Iterator[Metric]:
    for name, about, read in GAUGES:
        family = GaugeMetricFamily(f"pgqueue_worker_{name}", about, labels=["process"])
        for state in states:
            value = read(state)
            if value is not None:
                family.add_metric([str(state.place)], value)
        yield family


def _of_jobs(tally: Tally) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "pgqueue_worker_attempts", "Attempts that came to this outcome here.", labels=["queue", "task", "outcome"]
    )
    for key, count in tally.outcomes.items():
        attempts.add_metric(list(key), count)
    claimed = CounterMetricFamily("pgqueue_worker_claimed_jobs", "Jobs that were claimed here.", labels=["queue"])
    for queue, count in tally.claimed.items():
        claimed.add_metric([queue], count)
    run = HistogramMetricFamily("pgqueue_worker_run_seconds", "How long handlers ran.", labels=["queue", "task"])
    for names, histogram in tally.ran.items():
        run.add_metric(list(names), *_cumulative(histogram, JOB_BOUNDS))
    wait = HistogramMetricFamily(
        "pgqueue_worker_wait_seconds", "From when a job was due until it was claimed.", labels=["queue"]
    )
    for queue, histogram in tally.waited.items():
        wait.add_metric([queue], *_cumulative(histogram, JOB_BOUNDS))
    yield from (attempts, claimed, run, wait)
    yield CounterMetricFamily("pgqueue_worker_settled_attempts", "Attempts whose outcome was recorded.", tally.settled)
    yield CounterMetricFamily(
        "pgqueue_worker_stale_attempts", "Attempts that had lost their lease when they were settled.", tally.stale
    )
    for name, about, histogram in (
        ("step_seconds", "Round trips that claim and settle.", tally.trips),
        ("loop_lag_seconds", "How much later than asked for the event loop came back.", tally.lag),
    ):
        family = HistogramMetricFamily(f"pgqueue_worker_{name}", about, labels=[])
        family.add_metric([], *_cumulative(histogram, TRIP_BOUNDS))
        yield family


def _cumulative(histogram: Histogram, bounds: tuple[float, ...]) -> tuple[list[tuple[str, float]], float]:
    """Buckets as Prometheus wants them, the open one last, and the sum of what was observed."""
    total, buckets = 0, []
    for bound, count in zip([*map(str, bounds), "+Inf"], histogram.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets, histogram.total
