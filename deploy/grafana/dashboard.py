# ruff: noqa: E501 - an expression is told on one line
"""Makes the Grafana dashboard of pgqueue: `python deploy/grafana/dashboard.py` writes pgqueue.json beside itself.

Import the JSON into Grafana (Dashboards, New, Import) and choose the Prometheus that scrapes `pgq metrics` and
`pgq work --metrics-port`. What the metrics mean: docs/monitoring.md. Needs grafana-foundation-sdk, of the `dev` extra.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)  # fmt: skip
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    StackingMode,
    TooltipDisplayMode,
)  # fmt: skip
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)  # fmt: skip

FILE = Path(__file__).with_name("pgqueue.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
QUEUE = 'queue=~"$queue"'
DONE = "succeeded|failed|dead|cancelled|lost"
FAILED = "failed|dead|lost"

# Title, expression, unit, at how much it turns orange and red.
NUMBERS = [
    ("Database", "min(pgqueue_up)", "none", ()),
    ("Due now", f'sum(pgqueue_jobs{{{QUEUE},state="ready"}})', "short", ()),
    ("Oldest due job", f"max(pgqueue_oldest_due_age_seconds{{{QUEUE}}})", "s", (60, 300)),
    ("Running", f'sum(pgqueue_jobs{{{QUEUE},state="running"}})', "short", ()),
    ("Done per second", f'sum(rate(pgqueue_attempts_total{{{QUEUE},outcome="succeeded"}}[$__rate_interval]))', "ops", ()),
    ("Failed per second", f'sum(rate(pgqueue_attempts_total{{{QUEUE},outcome=~"{FAILED}"}}[$__rate_interval]))', "ops", ()),
    ("Dead letters", f'sum(pgqueue_jobs{{{QUEUE},state="dead"}})', "short", (1, 100)),
    ("Workers alive", 'sum(pgqueue_workers{state="alive"})', "short", ()),
    ("Workers stuck", 'sum(pgqueue_workers{state="stuck"})', "short", (1, 2)),
    ("Unknown tasks", f"sum(pgqueue_unknown_tasks{{{QUEUE}}})", "short", (1, 5)),
    ("Latest schedule", "max(pgqueue_schedule_late_seconds)", "s", (60, 300)),
    ("Migrations current", "min(pgqueue_migrations_current)", "none", ()),
]  # fmt: skip


def _share(outcomes: str) -> str:
    """The rate of attempts with these outcomes, by queue."""
    return f'sum by (queue) (rate(pgqueue_attempts_total{{{QUEUE},outcome=~"{outcomes}"}}[$__rate_interval]))'


def _quantile(of: float, histogram: str, by: str, labels: str = "") -> str:
    """A quantile of a histogram, by these labels."""
    return f"histogram_quantile({of}, sum by ({by}) (rate({histogram}_bucket{{{labels}}}[$__rate_interval])))"


# Row, then panels: title, unit, stacked or not, and (expression, legend) of each line.
ROWS = {
    "Queues": [
        ("Unfinished jobs by state", "short", True, [
            (f'sum by (state) (pgqueue_jobs{{{QUEUE},state!="dead"}})', "{{state}}"),
        ]),
        ("Due jobs by queue", "short", True, [(f'sum by (queue) (pgqueue_jobs{{{QUEUE},state="ready"}})', "{{queue}}")]),
        ("Age of the oldest due job", "s", False, [(f"max by (queue) (pgqueue_oldest_due_age_seconds{{{QUEUE}}})", "{{queue}}")]),
        ("Attempts by outcome", "ops", True, [
            (f"sum by (outcome) (rate(pgqueue_attempts_total{{{QUEUE}}}[$__rate_interval]))", "{{outcome}}"),
        ]),
        ("Attempts by queue", "ops", True, [(_share(DONE), "{{queue}}")]),
        ("Share of failed attempts", "percentunit", False, [(f"{_share(FAILED)} / {_share(DONE)}", "{{queue}}")]),
        ("Waiting time", "s", False, [
            (_quantile(of, "pgqueue_wait_seconds", "le, queue", QUEUE), f"{{{{queue}}}} p{of * 100:.0f}") for of in (0.5, 0.95)
        ]),
        ("Running time, 95th percentile", "s", False, [
            (_quantile(0.95, "pgqueue_run_seconds", "le, task", QUEUE), "{{task}}"),
        ]),
        ("Dead letters", "short", True, [(f'sum by (queue) (pgqueue_jobs{{{QUEUE},state="dead"}})', "{{queue}}")]),
    ],
    "Workers": [
        ("Worker processes that serve a queue", "short", False, [
            (f"max by (queue) (pgqueue_queue_workers{{{QUEUE}}})", "{{queue}}"),
        ]),
        ("Worker processes", "short", False, [("sum by (state) (pgqueue_workers)", "{{state}}")]),
        ("Jobs that run, and could run", "short", False, [
            ("sum(pgqueue_workers_running_jobs)", "run"), ("sum(pgqueue_workers_slots)", "could run"),
        ]),
        ("Round trips of claims", "s", False, [
            (_quantile(of, "pgqueue_worker_step_seconds", "le"), f"p{of * 100:.0f}") for of in (0.5, 0.99)
        ]),
        ("Event loop: silent for", "s", False, [
            ("max by (instance, process) (pgqueue_worker_loop_silent_seconds)", "{{instance}} {{process}}"),
        ]),
        ("Event loop: lag, 99th percentile", "s", False, [
            (_quantile(0.99, "pgqueue_worker_loop_lag_seconds", "le, instance"), "{{instance}}"),
        ]),
        ("Lease: since the last heartbeat", "s", False, [
            ("max by (instance, process) (pgqueue_worker_lease_age_seconds)", "{{instance}} {{process}}"),
        ]),
        ("Memory", "bytes", False, [
            ("sum by (instance, process) (pgqueue_worker_memory_bytes)", "{{instance}} {{process}}"),
        ]),
        ("Slots in use", "percentunit", False, [
            ("sum by (instance) (pgqueue_worker_slots_used) / sum by (instance) (pgqueue_worker_slots)", "{{instance}}"),
        ]),
    ],
    "Schedules and database": [
        ("Schedules: how late", "s", False, [("max by (schedule) (pgqueue_schedule_late_seconds)", "{{schedule}}")]),
        ("Dead rows", "short", True, [
            ('sum by (table) (pgqueue_table_dead_rows{table=~"queued_jobs|job_args|job_keys|worker_processes|lanes"})', "{{table}}"),
        ]),
        ("Size", "bytes", True, [("sum by (table) (pgqueue_table_size_bytes) > 1e5", "{{table}}")]),
        ("What holds vacuum back", "s", False, [("max by (holder) (pgqueue_xmin_age_seconds)", "{{holder}}")]),
        ("What holds vacuum back, in transactions", "short", False, [
            ("max by (holder) (pgqueue_xmin_age_transactions)", "{{holder}}"),
        ]),
        ("Days made ahead", "d", False, [("min by (table) (pgqueue_partitions_ahead_days)", "{{table}}")]),
        ("What a scrape costs", "s", True, [("sum by (part) (pgqueue_scrape_duration_seconds)", "{{part}}")]),
    ],
}  # fmt: skip


def make() -> str:
    """Return the dashboard as JSON."""
    board = (
        dashboard.Dashboard("pgqueue")
        .uid("pgqueue")
        .description("A job queue in PostgreSQL: is it healthy, and where does it hang?")
        .tags(["pgqueue", "postgresql"])
        .readonly()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-3h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("queue")
            .label("Queue")
            .query("label_values(pgqueue_jobs, queue)")
            .datasource(SOURCE)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".+")
        )
    )
    for title, expression, unit, limits in NUMBERS:
        board.with_panel(_number(title, expression, unit, limits))
    for row, panels in ROWS.items():
        board.with_row(dashboard.Row(row))
        for title, unit, stacked, lines in panels:
            board.with_panel(_chart(title, unit, lines, stacked=stacked))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _number(title: str, expression: str, unit: str, limits: tuple[float, ...]) -> stat.Panel:
    steps = [Threshold(color="green", value=None)]
    steps += [Threshold(color=colour, value=at) for colour, at in zip(("orange", "red"), limits, strict=False)]
    return (
        stat.Panel()
        .title(title)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(4)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_query(expression, ""))
    )


def _chart(title: str, unit: str, lines: list[tuple[str, str]], *, stacked: bool) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(8)
        .span(8)
        .draw_style(GraphDrawStyle.LINE)
        .fill_opacity(30 if stacked else 0)
        .legend(VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement("bottom").show_legend(True))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    if stacked:
        panel.stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for place, (expression, legend) in enumerate(lines):
        panel.with_target(_query(expression, legend, ref="ABCDEF"[place]))
    return panel


def _query(expression: str, legend: str, *, ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(ref).datasource(SOURCE)


if __name__ == "__main__":
    FILE.write_text(make(), encoding="utf-8")
