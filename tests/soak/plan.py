"""How much of everything, and which faults: `schedule` is a function of the plan and its seed, nothing else."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

CRASH_EVERY_SECONDS = 6.0
LONGER = 1.2  # how much longer the faults may go on while something is missing
GAP_SECONDS = (0.1, 0.5)
PIN_SECONDS = 8.0
# kind -> weight. What each does is in nemesis.py.
FAULTS: Mapping[str, float] = {
    "kill": 28,
    "kill_supervisor": 2,
    "kill_producer": 3,
    "freeze": 8,
    "freeze_supervisor": 1,
    "stop": 1.5,
    "terminate_all": 2,
    "terminate_one": 11,
    "cancel_one": 8,
    "crash": 2,
    "reset": 11,
    "black_hole": 6,
    "cut_answer": 10,
    "cut_commit": 5.5,
    "pin": 1,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `gap` seconds after the one before; `pick` (0 to 1) chooses the victim, `amount` (0 to 1) how much."""

    number: int
    kind: str
    gap: float
    pick: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. Times in seconds; `chaos` is when the nemesis ends, `calm` what the drain may take, both from the start
    of the jobs. Fewer than `least` of a kind of fault fails the run's bars (not its correctness).
    """

    name: str
    jobs: int
    seed: int
    chaos: float
    calm: float
    fleets: int = 2
    processes: int = 3
    concurrency: int = 40
    producers: int = 2
    lease: float = 2.5
    progress: float = 30.0
    backlog: int = 60_000  # unfinished jobs at which producers wait: what a drain can still manage on a busy machine
    mutant: str | None = None
    faults: Mapping[str, float] = field(default_factory=lambda: FAULTS)
    least: Mapping[str, int] = field(default_factory=dict)


def quick(seed: int, *, jobs: int = 20_000, seconds: float = 42.0, mutant: str | None = None) -> Plan:
    """What .ci/run does: under 90 s in all on two busy cores. A mutant needs no number of faults, only to be caught."""
    faults = {**FAULTS, "kill": 60, "crash": 5, "terminate_one": 6, "cancel_one": 3, "cut_answer": 7}
    least = {} if mutant else {"kill": int(50 * seconds / 42), "crash": 2, "freeze": 3}
    return Plan(
        name="quick",
        jobs=jobs,
        seed=seed,
        chaos=seconds,
        calm=30,
        progress=10,
        mutant=mutant,
        faults=faults,
        least=least,
    )


def long(seed: int, *, jobs: int, minutes: float, mutant: str | None = None) -> Plan:
    """`make soak`: the whole takes at most `minutes`, the drain and the check included."""
    seconds = minutes * 60
    calm = min(240.0, 0.15 * seconds)
    check = 20.0 + jobs / 12_000
    chaos = max(30.0, (seconds - calm - check) / LONGER)
    share = minutes / 40
    least = {"kill": int(1500 * share), "crash": int(60 * share), "freeze": int(300 * share)}
    return Plan(name="long", jobs=jobs, seed=seed, chaos=chaos, calm=calm, mutant=mutant, least=least)


def schedule(plan: Plan) -> Iterator[Fault]:
    """The faults, without end. A crash that would come too soon after the last one becomes a kill."""
    draw = random.Random(plan.seed)
    kinds, weights = list(plan.faults), list(plan.faults.values())
    crashed, at, number = 0.0, 0.0, 0
    while True:
        gap = draw.uniform(*GAP_SECONDS)
        at += gap
        kind = draw.choices(kinds, weights)[0]
        if kind == "crash":
            if at - crashed < CRASH_EVERY_SECONDS:
                kind = "kill"
            else:
                crashed = at
        yield Fault(number, kind, gap, draw.random(), draw.random())
        number += 1
