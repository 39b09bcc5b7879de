"""What a run came to: counts, bars, and the first few of each kind of violation."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.soak.harvest import Harvest, Lease
from tests.soak.lanes import check_lanes
from tests.soak.plan import Plan
from tests.soak.rules import START, Faults, check_jobs, check_presence

RULES = (
    "lost", "unexpected", "torn", "double", "stale", "unexplained", "illegal", "group", "concurrency", "rate",
    "callback", "deadlock",
)  # fmt: skip
EXAMPLES = 20


@dataclass(slots=True)
class Verdict:
    """`violations` by rule, all of them named; `examples` of those that are not 0."""

    violations: dict[str, int]
    examples: dict[str, list[str]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        return not any(self.violations.values())


def judge(harvest: Harvest, *, deadlocks: int = 0) -> Verdict:
    """Apply every rule."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    faults = Faults(harvest)
    for check in (check_presence(harvest), check_jobs(harvest, faults), check_lanes(harvest)):
        for found in check:
            counts[found.rule] += 1
            if len(examples[found.rule]) < EXAMPLES:
                examples[found.rule].append(f"job {found.job}: {found.text}")
    counts["deadlock"] += deadlocks
    return Verdict({rule: counts[rule] for rule in RULES}, dict(examples), _figures(harvest, faults))


def _figures(harvest: Harvest, faults: Faults) -> dict[str, Any]:
    reruns = starts = 0
    for job, runs in harvest.runs.items():
        own = len({run.token for run in runs if run.order == START})
        starts += own
        planned = (
            sum(harvest.outcomes.get((job, attempt)) == "failed" for attempt in range(1, own + 1)) if own > 1 else 0
        )
        reruns += max(0, own - 1 - planned)
    return {
        "acknowledged": sum(len(sent.ids) for sent in harvest.batches if sent.ids is not None),
        "present": len(harvest.jobs),
        "tasks": dict(Counter(job.task for job in harvest.jobs)),
        "states": dict(Counter(job.state for job in harvest.jobs)),
        "unknown_commits": sum(sent.ids is None for sent in harvest.batches),
        "starts": starts,
        "reruns": reruns,
        "in_flight_at_faults": sum(_in_flight(leases, faults) for leases in harvest.leases.values()),
        "outcomes": dict(Counter(harvest.outcomes.values())),
        "workers": len(harvest.workers.pids),
        "workers_lost": len(harvest.workers.lost),
        "effects": sum(map(len, harvest.effects.values())),
        "refused": sum(run.order == 2 for runs in harvest.runs.values() for run in runs),
    }


def _in_flight(leases: list[Lease], faults: Faults) -> int:
    """How many leases of a job were held at a moment when its worker could feel a fault."""
    ends = pairwise(leases)
    return sum(claim.now is not None and faults.hit(claim.worker, claim.at, end.at) for claim, end in ends)


def bars(plan: Plan, verdict: Verdict, done: dict[str, int], *, drained: bool) -> dict[str, bool]:
    """Name each bar of the run and whether it was met."""
    figures = verdict.figures
    met = {
        f"{plan.jobs} jobs acknowledged": figures["acknowledged"] >= plan.jobs,
        "drained": drained,
        "reruns at most the jobs in flight at the faults": figures["reruns"] <= figures["in_flight_at_faults"],
        **{f"{rule} 0": count == 0 for rule, count in verdict.violations.items()},
    }
    return met | {f"{kind} >= {least}": done.get(kind, 0) >= least for kind, least in plan.least.items()}
