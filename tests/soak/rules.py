"""What must hold of every single job. Each rule yields what breaks it; nothing else is done here.

lost         acknowledged, and not there or not succeeded at the end
unexpected   there, and nobody enqueued it
torn         a transaction of which some jobs are there and some are not
double       there twice; ended twice; an attempt that started twice; an effect in a transaction that is there twice
stale        settled by an attempt that did not hold the job, or had not come to its end
unexplained  run again, and no fault, hand-back or planned failure says why
illegal      a change of state that has no place in the table of transitions
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tests.soak.harvest import ORDER, Effect, Harvest, Job, Lease, Run

TOLERANCE_NS = 200_000_000  # between the database's clock and the ledgers'
GRACE_NS = 15_000_000_000  # after the last fault, until nothing may be run again any more
COMPLETES = frozenset({"effect", "effect_thread", "callback"})  # end in the handler's own transaction
MAY_FAIL = COMPLETES | {"guarded", "retrying"}
DIRECTED = frozenset({"kill", "freeze", "stop"})  # faults whose victims are worker processes; the others hit everybody
START, REFUSED, DONE = ORDER["S"], ORDER["X"], ORDER["D"]
SECOND = 1_000_000_000


class Violation(NamedTuple):
    """Which rule, for which job (0: none in particular), and what was seen."""

    rule: str
    job: int
    text: str


class Faults:
    """When something was done to a worker: a rerun without that is not explained."""

    def __init__(self, harvest: Harvest) -> None:
        self._window = int((2 * harvest.lease_seconds + 2) * SECOND)
        self._anywhere = sorted(f["at"] for f in harvest.faults if f.get("hit") and f["kind"] not in DIRECTED)
        self._at: dict[int, list[int]] = defaultdict(list)
        for fault in harvest.faults:
            if fault.get("hit") and fault["kind"] in DIRECTED:
                for pid in fault["what"]:
                    self._at[pid].append(fault["at"])
        self._pids = harvest.workers.pids

    def hit(self, worker: int | None, begin: int, end: int) -> bool:
        """Whether a fault came between two times that this worker could feel."""
        own = self._at.get(self._pids.get(worker or 0, 0), ())
        return _between(self._anywhere, begin, end) or any(begin <= at <= end for at in own)

    def explains(self, worker: int | None, begin: int, end: int) -> bool:
        """As `hit`, counting what came shortly before."""
        return self.hit(worker, begin - self._window, end)


def check_jobs(harvest: Harvest, faults: Faults) -> Iterator[Violation]:
    """Every rule on every job that is there."""
    for job in harvest.jobs:
        leases = harvest.leases.get(job.id, [])
        runs = harvest.runs.get(job.id, [])
        if job.state != "finished":
            yield Violation("lost", job.id, f"{job.task} {job.args.get('n')} is {job.state} at the end: {job.error}")
            continue
        yield from _chain(job, leases)
        yield from _starts(job, leases, runs)
        yield from _end(job, leases, runs)
        yield from _effects(job, leases, harvest.effects.get(job.id, []))
        if len(leases) > 2:
            yield from _again(job, leases, harvest, faults)


def _chain(job: Job, leases: list[Lease]) -> Iterator[Violation]:
    """Claims and releases take turns, attempts count by one, the end is the end."""
    held: int | None = None
    attempt, ended = 0, False
    for event in leases:
        if ended:
            yield Violation("double", job.id, f"{event} after its end")
        elif event.was != held:
            yield Violation("illegal", job.id, f"{event}, but the lease before it was {held}")
        elif event.now is not None and held is not None:
            yield Violation("illegal", job.id, f"claimed while it was leased: {event}")
        elif event.now is not None and event.attempt != attempt + 1:
            yield Violation("illegal", job.id, f"attempt {event.attempt} after {attempt}")
        elif event.now is None and event.was is None:
            yield Violation("illegal", job.id, f"ended without a lease: {event}")
        attempt, held, ended = event.attempt, event.now, ended or event.ended
    if not ended:
        yield Violation("illegal", job.id, "in the history, and it never ended")


def _starts(job: Job, leases: list[Lease], runs: list[Run]) -> Iterator[Violation]:
    """A handler starts once for each lease, and never before it."""
    claimed = {event.now: event.at for event in leases if event.now is not None}
    started = Counter(run.token for run in runs if run.order == START)
    for token, times in started.items():
        if times > 1:
            yield Violation("double", job.id, f"the attempt with token {token} started {times} times")
    for run in runs:
        if run.token not in claimed:
            yield Violation("stale", job.id, f"ran with token {run.token}, which no claim gave")
        elif run.at < claimed[run.token] - TOLERANCE_NS:
            yield Violation("stale", job.id, f"ran {(claimed[run.token] - run.at) / SECOND:.3f} s before its claim")


def _end(job: Job, leases: list[Lease], runs: list[Run]) -> Iterator[Violation]:
    """What settled it held it, and had come to its end."""
    if not leases or not leases[-1].ended:
        return
    end = leases[-1]
    own = {run.order: run.at for run in runs if run.token == end.was}
    if START not in own:
        yield Violation("stale", job.id, f"{job.task} settled by an attempt that never started ({end})")
    elif job.task in COMPLETES:
        return
    elif DONE not in own:
        yield Violation("stale", job.id, f"{job.task} settled by an attempt that never came to its end ({end})")
    elif own[DONE] > end.at + TOLERANCE_NS:
        late = (own[DONE] - end.at) / SECOND
        yield Violation("stale", job.id, f"{job.task} settled {late:.3f} s before its attempt came to its end")


def _effects(job: Job, leases: list[Lease], effects: list[Effect]) -> Iterator[Violation]:
    """An effect in the job's own transaction is there once, by the attempt that ended it; a guarded one by an owner."""
    if job.task in COMPLETES:
        if len(effects) != 1:
            rule = "double" if effects else "lost"
            yield Violation(rule, job.id, f"{job.task} has {len(effects)} effects")
        elif leases and effects[0].token != leases[-1].was:
            yield Violation("stale", job.id, f"the effect is by token {effects[0].token}, the end by {leases[-1].was}")
    elif job.task == "guarded":
        until = {event.was: event.at for event in leases if event.was is not None}
        since = {event.now: event.at for event in leases if event.now is not None}
        for effect in effects:
            if not since.get(effect.token, effect.at + 1) <= effect.at <= until.get(effect.token, 0):
                yield Violation("stale", job.id, f"a guarded effect at {effect.at}, outside of its lease")
        if not effects:
            yield Violation("lost", job.id, "a guarded effect is missing")


def _again(job: Job, leases: list[Lease], harvest: Harvest, faults: Faults) -> Iterator[Violation]:
    """Each release that was not the end has a reason."""
    failures = 0
    for claim, release in pairwise(leases):
        if claim.now is None or release.ended or release.now is not None:
            continue
        outcome = harvest.outcomes.get((job.id, claim.attempt))
        failures += outcome == "failed"
        if outcome == "failed" and job.task in MAY_FAIL:
            continue
        if outcome == "lost":
            yield from _loss(job, release, harvest)
        elif outcome != "released":
            yield Violation("unexplained", job.id, f"{job.task}: attempt {claim.attempt} was {outcome}")
            continue
        if release.at > harvest.calm_at + GRACE_NS:
            late = (release.at - harvest.calm_at) / SECOND
            yield Violation("unexplained", job.id, f"{outcome} {late:.1f} s after the last fault")
        elif not faults.explains(claim.worker, claim.at, release.at):
            yield Violation("unexplained", job.id, f"{outcome}, and nothing was done to worker {claim.worker}")
    if job.task == "retrying" and failures != job.args["fails"]:
        yield Violation("unexplained", job.id, f"failed {failures} times, was to fail {job.args['fails']} times")


def _loss(job: Job, release: Lease, harvest: Harvest) -> Iterator[Violation]:
    silent = harvest.workers.lost.get(release.worker or 0)
    if silent is None:
        yield Violation("illegal", job.id, f"lost by worker {release.worker}, which nobody declared lost")
    elif silent < harvest.lease_seconds and release.worker not in harvest.workers.ended:
        yield Violation("illegal", job.id, f"worker {release.worker} was declared lost after {silent:.3f} s of silence")


def check_presence(harvest: Harvest) -> Iterator[Violation]:
    """What was sent is there, once, and nothing else is."""
    by_id = {job.id: job for job in harvest.jobs}
    by_number: Counter[int] = Counter(job.args.get("n", 0) for job in harvest.jobs)
    known = 0
    for sent in harvest.batches:
        numbers = range(sent.first, sent.first + sent.count)
        there = sum(by_number[n] > 0 for n in numbers)
        known += sum(by_number[n] for n in numbers)
        for n in numbers:
            if by_number[n] > 1:
                yield Violation("double", 0, f"{sent.kind} {n} is there {by_number[n]} times")
        if sent.ids is None:
            if there not in (0, sent.count):
                yield Violation("torn", 0, f"{sent.kind} batch {sent.name}: {there} of {sent.count} are there")
            continue
        for job, n in zip(sent.ids, numbers, strict=True):
            if job not in by_id:
                yield Violation("lost", job, f"{sent.kind} {n} was acknowledged and is not there")
            elif by_id[job].args.get("n") != n:
                yield Violation("unexpected", job, f"is {by_id[job].args}, was acknowledged as {sent.kind} {n}")
    if known != len(harvest.jobs):
        yield Violation("unexpected", 0, f"{len(harvest.jobs) - known} jobs are there that nobody enqueued")


def _between(times: list[int], begin: int, end: int) -> bool:
    place = bisect_left(times, begin)
    return place < len(times) and times[place] <= end
