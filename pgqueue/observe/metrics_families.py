"""Turns what was read of the database into metric families, named by Prometheus' conventions. No I/O.

Every name begins with `pgqueue_`; counters end in `_total`, times are in seconds, sizes in bytes. Labels are bounded by
the caps: what is beyond them is added up (or the worst of it taken) under the value `other`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from pgqueue.observe.metrics_gone import Gone
from pgqueue.observe.metrics_labels import OTHER, Cap
from pgqueue.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.core import Metric

    from pgqueue.observe.metrics_reading import Reading, Row

STATES = ("scheduled", "blocked", "ready", "running", "dead")
OUTCOMES = ("succeeded", "failed", "dead", "cancelled", "lost", "snoozed", "released")


class Families:
    """Makes the families of one reading after another; remembers who has a name of its own."""

    def __init__(self, *, most_queues: int, most_tasks: int, most_schedules: int) -> None:
        self.queues: Cap[str] = Cap(most_queues)
        self.tasks: Cap[tuple[str, str]] = Cap(most_tasks)
        self.schedules: Cap[str] = Cap(most_schedules)
        self._gone = Gone()

    def of(self, reading: Reading) -> Iterator[Metric]:
        """The families of a reading; parts that could not be read are left out."""
        yield InfoMetricFamily("pgqueue_exporter", "The exporter itself.", {"version": VERSION})
        yield _gauge("pgqueue_up", "Whether the database could be read: 1 or 0.", int(reading.up))
        if not reading.up:
            return
        rows = reading.rows
        self._admit(rows)
        makers = {
            "depths": self._depths,
            "workers": _workers,
            "serving": self._serving,
            "schedules": self._schedules,
            "unknown_tasks": self._unknown_tasks,
            "tables": _tables,
            "horizon": _horizon,
            "partitions": _partitions,
            "migrations": _migrations,
        }
        for part, make in makers.items():
            if part in rows:
                yield from make(rows[part])
        if "totals" in rows and rows.get("bounds"):
            yield from self._totals(rows["totals"], rows["bounds"][0]["bounds"])
        yield from self._about(reading)

    def _admit(self, rows: Any) -> None:
        """Deal out names: queues by what waits in them, tasks by how much they ran."""
        depths = sorted(rows.get("depths", ()), key=lambda row: -sum(row[state] or 0 for state in STATES))
        totals = sorted(rows.get("totals", ()), key=lambda row: -sum(row[outcome] or 0 for outcome in OUTCOMES))
        self.queues.admit(row["queue"] for part in (depths, totals) for row in part)
        self.queues.admit(row["queue"] for row in rows.get("serving", ()))
        self.tasks.admit((row["queue"], row["task"]) for row in totals)
        self.schedules.admit(row["name"] for row in rows.get("schedules", ()))

    def _queue(self, name: str) -> str:
        return name if name in self.queues else OTHER

    def _task(self, queue: str, task: str) -> tuple[str, str]:
        return self._queue(queue), task if (queue, task) in self.tasks else OTHER

    def _depths(self, rows: Sequence[Row]) -> Iterator[Metric]:
        jobs = _gauge("pgqueue_jobs", "Unfinished jobs and dead letters.", labels=["queue", "state"])
        oldest = _gauge("pgqueue_oldest_due_age_seconds", "How long the oldest due job has waited.", labels=["queue"])
        paused = _gauge("pgqueue_queue_paused", "Whether the queue is paused: 1 or 0.", labels=["queue"])
        guessed = _gauge(
            "pgqueue_jobs_estimated", "Whether any count of the queue is an estimate: 1 or 0.", labels=["queue"]
        )
        for queue, of_queue in _by(rows, lambda row: self._queue(row["queue"])):
            for state in STATES:
                jobs.add_metric([queue, state], _sum(of_queue, state))
            oldest.add_metric([queue], max(row["oldest_due_seconds"] or 0.0 for row in of_queue))
            paused.add_metric([queue], int(all(row["paused"] for row in of_queue)))
            guessed.add_metric([queue], int(any(row["estimated"] for row in of_queue)))
        yield from (jobs, oldest, paused, guessed)

    def _totals(self, rows: Sequence[Row], bounds: Sequence[float]) -> Iterator[Metric]:
        labels = ["queue", "task"]
        attempts = CounterMetricFamily(
            "pgqueue_attempts", "Attempts that came to this outcome.", labels=[*labels, "outcome"]
        )
        wait = HistogramMetricFamily(
            "pgqueue_wait_seconds", "From when a job was due until it was claimed.", labels=["queue"]
        )
        run = HistogramMetricFamily("pgqueue_run_seconds", "How long handlers ran.", labels=labels)
        known = {(row["queue"], row["task"]): {**row, "labels": self._task(row["queue"], row["task"])} for row in rows}
        every = self._gone.with_those_gone(known)
        for names, of_task in _by(every, lambda row: row["labels"]):
            for outcome in OUTCOMES:
                attempts.add_metric([*names, outcome], _sum(of_task, outcome))
            run.add_metric(list(names), *_histogram(of_task, "run", bounds))
        for queue, of_queue in _by(every, lambda row: row["labels"][0]):
            wait.add_metric([queue], *_histogram(of_queue, "wait", bounds))
        yield from (attempts, wait, run)

    def _serving(self, rows: Sequence[Row]) -> Iterator[Metric]:
        serving = _gauge("pgqueue_queue_workers", "Living worker processes that serve the queue.", labels=["queue"])
        counts = dict.fromkeys(self.queues.named(), 0)
        for queue, of_queue in _by(rows, lambda row: self._queue(row["queue"])):
            counts[queue] = max(row["workers"] for row in of_queue)
        for queue, count in counts.items():
            serving.add_metric([queue], count)
        yield serving

    def _schedules(self, rows: Sequence[Row]) -> Iterator[Metric]:
        last = _gauge(
            "pgqueue_schedule_last_tick_timestamp_seconds", "When the schedule ticked last.", labels=["schedule"]
        )
        late = _gauge(
            "pgqueue_schedule_late_seconds", "For how long the schedule's next tick has been due.", labels=["schedule"]
        )
        broken = _gauge(
            "pgqueue_schedule_broken",
            "Whether an error keeps the schedule from ticking: 1 or 0.",
            labels=["schedule"],
        )
        for name, of_name in _by(rows, lambda row: row["name"] if row["name"] in self.schedules else OTHER):
            ticks = [row["last_at"] for row in of_name if row["last_at"] is not None]
            if ticks:
                last.add_metric([name], min(ticks) if name == OTHER else ticks[0])
            late.add_metric([name], max(row["late_seconds"] for row in of_name))
            broken.add_metric([name], int(any(row["broken"] for row in of_name)))
        yield from (last, late, broken)

    def _unknown_tasks(self, rows: Sequence[Row]) -> Iterator[Metric]:
        unknown = _gauge(
            "pgqueue_unknown_tasks", "Tasks with due jobs that no living worker of the queue knows.", labels=["queue"]
        )
        counts = dict.fromkeys(self.queues.named(), 0)
        for queue, of_queue in _by(rows, lambda row: self._queue(row["queue"])):
            counts[queue] = _sum(of_queue, "tasks")
        for queue, count in counts.items():
            unknown.add_metric([queue], count)
        yield unknown

    def _about(self, reading: Reading) -> Iterator[Metric]:
        folded = _gauge(
            "pgqueue_folded_label_values",
            'How many values of a label have no series of their own: they are added up under "other".',
            labels=["label"],
        )
        for label, cap in (("queue", self.queues), ("task", self.tasks), ("schedule", self.schedules)):
            folded.add_metric([label], cap.folded)
        took = _gauge("pgqueue_scrape_duration_seconds", "How long reading this part took.", labels=["part"])
        success = _gauge("pgqueue_scrape_success", "Whether this part could be read: 1 or 0.", labels=["part"])
        for part, seconds in reading.seconds.items():
            took.add_metric([part], seconds)
            success.add_metric([part], int(part not in reading.failed))
        yield from (folded, took, success)


def _workers(rows: Sequence[Row]) -> Iterator[Metric]:
    workers = _gauge("pgqueue_workers", "Worker processes that are alive, and that are stuck.", labels=["state"])
    for state in ("alive", "stuck"):
        workers.add_metric([state], rows[0][state])
    yield workers
    yield _gauge("pgqueue_workers_running_jobs", "Jobs that living workers run, as they said last.", rows[0]["running"])
    yield _gauge("pgqueue_workers_slots", "Jobs that living workers could run at the same time.", rows[0]["slots"])


def _tables(rows: Sequence[Row]) -> Iterator[Metric]:
    said = {
        "live": ("pgqueue_table_live_rows", "Rows of the table, by the server's statistics."),
        "dead": ("pgqueue_table_dead_rows", "Dead rows that await vacuum, by the server's statistics."),
        "bytes": ("pgqueue_table_size_bytes", "Size of the table with its indexes and all its days."),
    }
    for column, (name, about) in said.items():
        yield _by_label(name, about, "table", ((row["name"], row[column]) for row in rows))


def _horizon(rows: Sequence[Row]) -> Iterator[Metric]:
    oldest = {
        kind: {column: max(row[column] for row in of_kind) for column in ("transactions", "seconds")}
        for kind, of_kind in _by(rows, lambda row: row["kind"])
    }
    yield _by_label(
        "pgqueue_xmin_age_transactions",
        "Age of the oldest snapshot that keeps vacuum from removing dead rows, by who holds it.",
        "holder",
        ((kind, holder["transactions"]) for kind, holder in oldest.items()),
    )
    yield _by_label(
        "pgqueue_xmin_age_seconds",
        "The same in seconds, where the server knows since when.",
        "holder",
        ((kind, holder["seconds"]) for kind, holder in oldest.items() if kind in {"transaction", "prepared"}),
    )
    yield _gauge(
        "pgqueue_xmin_all_seen",
        "Whether the exporter may see everybody's sessions (role pg_read_all_stats): 1 or 0.",
        int(rows[0]["all_seen"]),
    )


def _partitions(rows: Sequence[Row]) -> Iterator[Metric]:
    yield _by_label(
        "pgqueue_partitions_ahead_days",
        "For how many days ahead the table has partitions.",
        "table",
        ((row["name"], row["days"]) for row in rows),
    )


def _migrations(rows: Sequence[Row]) -> Iterator[Metric]:
    yield _gauge("pgqueue_migrations_current", "Whether no migration is pending: 1 or 0.", int(rows[0]["current"]))


def _gauge(name: str, about: str, value: float | None = None, *, labels: Sequence[str] | None = None) -> Any:
    return GaugeMetricFamily(name, about, value=value, labels=labels)


def _by_label(name: str, about: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def _by(rows: Iterable[Row], key: Any) -> Iterator[tuple[Any, list[Row]]]:
    """Group rows by what their labels will be."""
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    yield from groups.items()


def _sum(rows: Iterable[Row], column: str) -> int:
    return sum(int(row[column] or 0) for row in rows)


def _histogram(rows: Sequence[Row], which: str, bounds: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """Buckets as Prometheus wants them, cumulative and the open one last, and the sum of what was observed."""
    counts = [0] * (len(bounds) + 1)
    for row in rows:
        for place, count in enumerate(row[f"{which}_buckets"] or ()):
            counts[place] += int(count)
    total = 0.0
    buckets = []
    for bound, count in zip([*map(_bound, bounds), "+Inf"], counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets, sum(float(row[f"{which}_seconds"] or 0.0) for row in rows)


def _bound(seconds: float) -> str:
    return str(float(seconds))
