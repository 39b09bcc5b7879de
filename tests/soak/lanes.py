"""What must hold between jobs: turns in groups, the limits, the callbacks of batches.

Events are taken in the order of the audit's sequence: who releases does so before it commits, and who then claims can
only do so after that.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from tests.soak.app import CONCURRENCY, RATE
from tests.soak.harvest import Harvest, Lease
from tests.soak.rules import DONE, SECOND, START, Violation


def check_lanes(harvest: Harvest) -> Iterator[Violation]:
    """Every rule between jobs."""
    members: dict[str, list[int]] = defaultdict(list)
    tasks: dict[str, list[int]] = defaultdict(list)
    for job in harvest.jobs:
        if job.task == "grouped":
            members[job.args["group"]].append(job.id)
        elif job.task in {"gated", "dripping"}:
            tasks[job.task].append(job.id)
    for name, ids in members.items():
        yield from _turns(harvest, name, ids)
        yield from _handlers(harvest, name, ids)
    yield from _concurrency(harvest, tasks["gated"])
    yield from _rate(harvest, tasks["dripping"])
    yield from _callbacks(harvest)


def _events(harvest: Harvest, ids: Iterable[int]) -> list[tuple[int, Lease]]:
    found = [(job, event) for job in ids for event in harvest.leases.get(job, ())]
    found.sort(key=lambda pair: pair[1].seq)
    return found


def _turns(harvest: Harvest, name: str, ids: list[int]) -> Iterator[Violation]:
    """One claim at a time has jobs of a group; they end in the order of their ids."""
    held: dict[int, int] = {}
    last = (0, 0)
    for job, event in _events(harvest, ids):
        if event.now is not None:
            others = {token for token in held.values() if token != event.now}
            if others:
                yield Violation("group", job, f"group {name}: claimed while job {min(held)} was leased by another")
            held[job] = event.now
            continue
        held.pop(job, None)
        if event.ended:
            if job < last[1] and event.at > last[0]:
                yield Violation("group", job, f"group {name}: ended after job {last[1]}")
            last = (event.at, max(job, last[1]))


def _handlers(harvest: Harvest, name: str, ids: list[int]) -> Iterator[Violation]:
    """The runs that settled jobs of a group do not overlap."""
    spans = []
    for job in ids:
        leases = harvest.leases.get(job, [])
        own = {run.order: run.at for run in harvest.runs.get(job, ()) if leases and run.token == leases[-1].was}
        if START in own and DONE in own:
            spans.append((own[START], own[DONE], job))
    spans.sort()
    for before, after in pairwise(spans):
        if after[0] <= before[1]:
            yield Violation("group", after[2], f"group {name}: started before job {before[2]} had ended")


def _concurrency(harvest: Harvest, ids: list[int]) -> Iterator[Violation]:
    held: set[int] = set()
    for job, event in _events(harvest, ids):
        if event.now is None:
            held.discard(job)
            continue
        held.add(job)
        if len(held) > CONCURRENCY:
            yield Violation("concurrency", job, f"{len(held)} jobs held a limit of {CONCURRENCY}")


def _rate(harvest: Harvest, ids: list[int]) -> Iterator[Violation]:
    """No second sees more than a burst and a second's worth."""
    claims = sorted(event.at for _, event in _events(harvest, ids) if event.now is not None)
    most = 2 * RATE
    for first, last in zip(claims, claims[most:], strict=False):
        if last - first < SECOND:
            yield Violation("rate", 0, f"{most + 1} claims within {(last - first) / SECOND:.3f} s")


def _callbacks(harvest: Harvest) -> Iterator[Violation]:
    """A callback is claimed after the last of its batch has ended. That it ran once is the rule of its effect."""
    for sent in harvest.batches:
        if sent.kind != "flow" or sent.ids is None:
            continue
        *ids, callback = sent.ids
        claims = [event.seq for event in harvest.leases.get(callback, ()) if event.now is not None]
        ends = [event.seq for job in ids for event in harvest.leases.get(job, ()) if event.ended]
        if claims and (len(ends) < len(ids) or claims[0] < max(ends)):
            yield Violation("callback", callback, f"was claimed when {sum(e < claims[0] for e in ends)} had ended")
