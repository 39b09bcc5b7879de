"""What is read of the database becomes metrics with bounded labels. No database."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pgqueue.observe import metrics, metrics_text
from pgqueue.observe.metrics import Bounds, Exporter
from pgqueue.observe.metrics_reading import DOWN, Reading
from pgqueue.webserver import Request
from pgqueue.worker import exposition
from pgqueue.worker.desk import Desk
from pgqueue.worker.ports import Ports

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED = ("deploy/prometheus/pgqueue.rules.yml", "deploy/grafana/pgqueue.json")
HISTOGRAM = "_(bucket|sum|count)$"
OUTCOMES = ("succeeded", "failed", "dead", "cancelled", "lost", "snoozed", "released")


class Told:
    """A source that says what it was told."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = list(readings)

    def reading(self) -> Reading:
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


def depths(queue: str, ready: int = 0, age: float | None = None) -> dict[str, Any]:
    counts = dict.fromkeys(("scheduled", "blocked", "running", "dead"), 0)
    return {"queue": queue, "paused": False, **counts, "ready": ready, "oldest_due_seconds": age, "estimated": False}


def totals(queue: str, task: str, succeeded: int) -> dict[str, Any]:
    counts = dict.fromkeys(OUTCOMES, 0) | {"succeeded": succeeded}
    sums = {"wait_seconds": 0.5 * succeeded, "run_seconds": 2.0 * succeeded}
    return {"queue": queue, "task": task, **counts, **sums, "wait_buckets": [succeeded, 0, 0], "run_buckets": [0, 1, 2]}


def exporter(*readings: Reading, **bounds: int) -> Exporter:
    return Exporter(Told(*readings), Bounds(**bounds))  # type: ignore[arg-type]


class Samples(dict[tuple[str, ...], float]):
    """By name and the values of their labels, whatever their order."""

    def __getitem__(self, key: tuple[str, ...]) -> float:
        return super().__getitem__((key[0], *sorted(key[1:])))


def values(of: Exporter) -> Samples:
    """The samples of the exposition."""
    page, _ = of.page()
    families = text_string_to_metric_families(page.decode())
    return Samples({(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples})


def test_a_database_that_is_away_is_said_and_nothing_else() -> None:
    found = values(exporter(DOWN))

    assert found[("pgqueue_up",)] == 0
    assert {name for name, *_ in found} == {"pgqueue_up", "pgqueue_exporter_info"}


def test_histograms_are_cumulative_and_end_open() -> None:
    rows = {"totals": [totals("mail", "welcome", 4)], "bounds": [{"bounds": [0.1, 1.0]}]}

    found = values(exporter(Reading(True, rows)))

    assert [found[("pgqueue_run_seconds_bucket", "mail", "welcome", le)] for le in ("0.1", "1.0", "+Inf")] == [0, 1, 3]
    assert found[("pgqueue_run_seconds_sum", "mail", "welcome")] == 8.0
    assert found[("pgqueue_wait_seconds_count", "mail")] == 4
    assert found[("pgqueue_attempts_total", "mail", "welcome", "succeeded")] == 4


def test_labels_beyond_their_number_are_added_up_as_other() -> None:
    reading = Reading(
        True,
        {
            "depths": [depths("small", 1, 9.0), depths("big", 50, 1.0), depths("tiny", 2, 3.0)],
            "totals": [totals("big", f"t{number}", number + 1) for number in range(5)],
            "bounds": [{"bounds": [0.1, 1.0]}],
        },
    )

    found = values(exporter(reading, queues=1, tasks=2))

    assert found[("pgqueue_jobs", "big", "ready")] == 50
    assert found[("pgqueue_jobs", "other", "ready")] == 3
    assert found[("pgqueue_oldest_due_age_seconds", "other")] == 9.0
    assert found[("pgqueue_attempts_total", "big", "t4", "succeeded")] == 5
    assert found[("pgqueue_attempts_total", "big", "other", "succeeded")] == 1 + 2 + 3
    assert found[("pgqueue_folded_label_values", "queue")] == 2
    assert found[("pgqueue_folded_label_values", "task")] == 3


def test_a_counter_keeps_its_series_when_others_overtake_it() -> None:
    bounds = [{"bounds": [0.1, 1.0]}]
    before = Reading(True, {"totals": [totals("q", "early", 5), totals("q", "late", 1)], "bounds": bounds})
    after = Reading(True, {"totals": [totals("q", "early", 6), totals("q", "late", 900)], "bounds": bounds})
    of = exporter(before, after, tasks=1)

    first, second = values(of), values(of)

    series = ("pgqueue_attempts_total", "q", "early", "succeeded")
    assert (first[series], second[series]) == (5, 6)
    assert second[("pgqueue_attempts_total", "q", "other", "succeeded")] == 900


def test_no_counter_falls_when_the_database_drops_those_of_a_queue() -> None:
    bounds = [{"bounds": [0.1, 1.0]}]
    named, stays = totals("q", "t", 100), totals("b", "t", 10)
    parts = ([named, stays, totals("a", "t", 7)], [named, stays], [named, stays, totals("a", "t", 2)], [stays])
    of = exporter(*(Reading(True, {"totals": rows, "bounds": bounds}) for rows in parts), queues=1, tasks=1)

    found = [values(of) for _ in parts]

    others = [each[("pgqueue_attempts_total", "other", "other", "succeeded")] for each in found]
    waits = [each[("pgqueue_wait_seconds_count", "other")] for each in found]
    assert (others, waits) == ([17, 17, 19, 19], [17, 17, 19, 19])
    assert [each[("pgqueue_attempts_total", "q", "t", "succeeded")] for each in found] == [100] * 4


def test_a_part_that_cannot_be_read_is_said_and_leaves_the_others() -> None:
    reading = Reading(True, {"depths": [depths("q", 7)]}, {"depths": 0.1, "totals": 0.2}, frozenset({"totals"}))

    found = values(exporter(reading))

    assert found[("pgqueue_scrape_success", "depths")] == 1
    assert found[("pgqueue_scrape_success", "totals")] == 0
    assert found[("pgqueue_jobs", "q", "ready")] == 7


def test_our_text_says_what_prometheus_clients_says() -> None:
    odd = GaugeMetricFamily("pgqueue_odd", 'A "help"\\ of\ntwo lines.', labels=["l"])
    for place, value in enumerate((math.inf, -math.inf, 1e21, 1e-9, 0.1, -5, 10**15)):
        odd.add_metric([str(place)], value)
    families = [*every_family(), *families_of_workers(), odd]

    ours, theirs = metrics_text.encode(families), generate_latest(metrics._Fixed(families))

    told, expected = (list(text_string_to_metric_families(text.decode())) for text in (ours, theirs))
    assert told == expected
    assert len(ours.splitlines()) == len(theirs.splitlines())


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0", "text/plain;version=0.0.4"])
def test_scrapers_get_the_format_they_ask_for(accept: str) -> None:
    answer = exporter(DOWN).answer(Request("/metrics", {}, {"accept": accept}))

    assert answer.status == 200
    assert answer.body.decode().endswith("# EOF\n") == accept.startswith("application/openmetrics")
    assert answer.content_type.startswith(accept.partition(";")[0] or "text/plain")


def every_family() -> list[Metric]:
    """All families of the exporter, each with a sample."""
    rows = {
        "depths": [depths("q", 7, 0.1), depths('a "queue"\\ of\nmine', 10**12)],
        "totals": [totals("q", "t", 1)],
        "bounds": [{"bounds": [0.1, 1.0]}],
        "workers": [{"alive": 1, "stuck": 0, "running": 3, "slots": 5}],
        "serving": [{"queue": "q", "workers": 2}],
        "unknown_tasks": [{"queue": "q", "tasks": 1}],
        "schedules": [{"name": "s", "paused": False, "broken": False, "last_at": 1.0, "late_seconds": 0.0}],
        "tables": [{"name": "t", "live": 1, "dead": 1, "bytes": 1}],
        "horizon": [{"kind": "transaction", "transactions": 1, "seconds": 1.0, "all_seen": True}],
        "partitions": [{"name": "t", "days": 3}],
        "migrations": [{"current": True}],
    }
    return exporter(Reading(True, rows)).collect()


def families_of_workers() -> list[Metric]:
    """All families of a fleet."""
    return list(exposition.families(Desk(Ports(), 15.0)))


@pytest.mark.parametrize("families", [every_family(), families_of_workers()], ids=["exporter", "workers"])
def test_names_follow_prometheus_conventions(families: list[Metric]) -> None:
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.name.startswith("pgqueue_")
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith("_total")
        assert {label for sample in family.samples for label in sample.labels} <= {
            "queue", "state", "task", "outcome", "le", "schedule", "table", "holder", "label", "part", "version",
        }, family.name  # fmt: skip


def exposed(families: list[Metric]) -> set[str]:
    """The names under which families are exposed, as rules and people write them."""
    return {f"{family.name}_total" if family.type == "counter" else
            f"{family.name}_info" if family.type == "info" else family.name for family in families}  # fmt: skip


def test_rules_dashboard_and_guide_name_what_there_is() -> None:
    there = exposed(every_family()) | exposed(families_of_workers())
    files = {name: (ROOT / name).read_text() for name in DEPLOYED}

    strange = {
        name: {word for word in re.findall(r"pgqueue_[a-z_]*[a-z]", text) if re.sub(HISTOGRAM, "", word) not in there}
        for name, text in files.items()
    }

    guide = set(re.findall(r"`(pgqueue_\w+)`", (ROOT / "docs/monitoring.md").read_text()))
    assert not any(strange.values()), strange
    assert guide == there
