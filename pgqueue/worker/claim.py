"""Where claims begin, and what they bring back. Comes after wake, before execute.

A lane is one queue seen by one kind of handler (loop, threads, processes), because each kind has room of its own.
Claims start at the lane's marks, the (run_at, id) claimed last for each priority: so they do not walk over the dead
index entries of finished jobs, which matters once an old snapshot keeps these from being cleaned up. What becomes
visible behind a mark (a long transaction's jobs, hand-backs, rescues, a priority never seen) is found by a full pass
from the beginning, paced by what it costs: see the constants below.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pgqueue.events import StepDone
from pgqueue.worker.attempt import ARGS, CREATED_AT, ID, KIND, PRIORITY, RUN_AT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgqueue.worker.settle import Batch

# Up to here a pass is made on the path of the jobs, where it may take a quarter of the time while nothing else is to
# do; beyond it on the lease's connection, with a twentieth. 100k dead entries cost 13-46 ms a pass, a claim 1 ms.
CHEAP_PASS_SECONDS = 0.002
CHEAP_SHARE = 4
PASS_SHARE = 20
PASS_INTERVAL_SECONDS = 0.5
IDLE_PASS_SECONDS = 0.002
PASS_SAMPLES = 5
FIRST_PASSES = 3
BUSY_SECONDS = 0.015  # the lane of a due job is another's: longer than a step, as they may be several


class Room(Protocol):
    """What runs attempts of one kind, as far as claims are concerned."""

    def room(self) -> int:
        """How many more jobs it can be given now."""
        ...


@dataclass(slots=True)
class Marks:
    """For each priority, where the next claim begins."""

    places: dict[int, tuple[str, int]] = field(default_factory=dict)

    def params(self) -> dict[str, str]:
        """As array literals, priorities ascending."""
        order = sorted(self.places)
        at = ",".join(f'"{self.places[p][0]}"' for p in order)
        ids = ",".join(str(self.places[p][1]) for p in order)
        return {"priorities": f"{{{','.join(map(str, order))}}}", "marks_at": f"{{{at}}}", "marks_id": f"{{{ids}}}"}

    def claimed(self, rows: Sequence[Sequence[Any]], *, filled: bool, frontier: str) -> None:
        """Move on: to the last claimed job of each priority, to the frontier where nothing due is left."""
        last = {row[PRIORITY]: (row[RUN_AT], row[ID]) for row in rows if row[KIND] == "job"}
        if filled and not last:
            return
        highest = max(last) if filled else 101
        for priority in self.places:
            if priority in last and (filled or priority == highest):
                self.places[priority] = last[priority]
            elif priority < highest:
                self.places[priority] = (frontier, 0)

    def passed(self, seen: Sequence[int], *, filled: bool, frontier: str) -> None:
        """After a full pass: a complete one begins everything at the frontier, one cut short only adds what it saw."""
        if filled:
            for priority in seen:
                self.places.setdefault(priority, ("-infinity", 0))
        else:
            self.places = dict.fromkeys({0, *seen}, (frontier, 0))


class Lane:
    """One queue for one kind of handler."""

    def __init__(self, queue: str, pool: Room, tasks: Sequence[str]) -> None:
        self.queue = queue
        self.pool = pool
        self.tasks = sorted(tasks)
        self.marks = Marks()
        self._passes: deque[float] = deque(maxlen=PASS_SAMPLES)
        self._passed_at = float("-inf")
        self.due_at = float("inf")  # when the next job falls due, by the monotonic clock
        self.passing = False  # a costly pass is under way elsewhere

    def passed(self, now: float, took: float) -> None:
        """A full pass has ended."""
        self._passes.append(took)
        self._passed_at = now

    @property
    def cheap(self) -> bool:
        """Whether full passes may be made on the path of the jobs. The least of the last few decides, as a busy machine
        makes any one of them look costly, and the first ones carry the planning of statements.
        """
        return min(self._passes, default=0.0) < CHEAP_PASS_SECONDS

    def wants_pass(self, now: float, *, idle: bool = False) -> bool:
        """Whether enough time has gone by for the next full pass: when idle they may come as often as they can pay."""
        if self.passing:
            return False
        share = CHEAP_SHARE if self.cheap or len(self._passes) < FIRST_PASSES else PASS_SHARE
        last = self._passes[-1] if self._passes else 0.0
        least = IDLE_PASS_SECONDS if idle else PASS_INTERVAL_SECONDS
        return now - self._passed_at >= max(least, share * last)

    def params(self, *, full: bool, limit: int, series: int = 1) -> dict[str, Any]:
        """The claim's part of the parameters of a step."""
        marks: Mapping[str, str | None] = {"priorities": None, "marks_at": None, "marks_id": None}
        if not full and self.marks.places:
            marks = self.marks.params()
        return {"queue": self.queue, "tasks": self.tasks, "max_jobs": limit, "series": series, **marks}


NO_CLAIM = {
    "queue": "",
    "tasks": [],
    "max_jobs": 0,
    "series": 1,
    "priorities": None,
    "marks_at": None,
    "marks_id": None,
}


def batch_params(batch: Batch) -> dict[str, Any]:
    """The settling part of the parameters of a step; with `logs` it is one for `step_logging`."""
    params = {
        "done_ids": f"{{{','.join(map(str, batch.ids))}}}",
        "done_tokens": f"{{{','.join(map(str, batch.tokens))}}}",
        "outcomes": batch.outcomes,
    }
    return params if batch.logs is None else params | {"logs": batch.logs}


@dataclass(slots=True)
class Reply:
    """What a step brought back."""

    jobs: list[Sequence[Any]]
    stale: list[int]
    lost: bool
    suspects: bool
    clock: str
    frontier: str
    next_due: str | None
    seen: list[int] | None  # the priorities of a full pass
    more: bool = False  # there may be more due jobs than it has seen
    busy: bool = False  # others had the lanes of due jobs: look again soon, from the same marks

    def event(self, lane: Lane | None, *, settled: int, seconds: float) -> StepDone:
        """What observers are told of the step."""
        return StepDone(lane.queue if lane is not None else None, len(self.jobs), settled, len(self.stale), seconds)


def read(rows: Sequence[Sequence[Any]]) -> Reply:
    """Sort the rows of a step by kind."""
    jobs: list[Sequence[Any]] = []
    reply = Reply(jobs, [], lost=False, suspects=False, clock="", frontier="", next_due=None, seen=None)
    for row in rows:
        kind = row[KIND]
        if kind == "job" or kind == "gated":
            jobs.append(row)
        elif kind == "clock":
            reply.clock, reply.frontier, reply.suspects = row[RUN_AT], row[CREATED_AT], row[ID] == 1
            if row[ARGS] is not None:
                reply.seen = [int(p) for p in row[ARGS].strip("{}").split(",") if p]
        elif kind == "stale":
            reply.stale.append(row[ID])
        elif kind == "next":
            reply.next_due = row[RUN_AT]
        elif kind == "more":
            reply.more = True
        elif kind == "busy":
            reply.busy = True
        else:
            reply.lost = True
    return reply


def take(lane: Lane, reply: Reply, *, limit: int, full: bool, now: float, took: float) -> bool:
    """Move the lane on by what a claim of `limit` brought, which took so long; returns whether the claim was filled."""
    filled = len(reply.jobs) >= limit or reply.more
    if reply.busy:
        if full:
            lane.passed(now, took)
        lane.due_at = now + BUSY_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - so that two do not meet again
        return False
    if reply.seen is not None:
        lane.marks.passed(reply.seen, filled=filled, frontier=reply.frontier)
        lane.passed(now, took)
    elif not full:
        lane.marks.claimed(reply.jobs, filled=filled, frontier=reply.frontier)
    lane.due_at = now + _seconds(reply.clock, reply.next_due) if reply.next_due is not None else float("inf")
    return filled


def _seconds(clock: str, due: str) -> float:
    """The time from one of the database's times to another."""
    return max(0.0, (datetime.fromisoformat(due) - datetime.fromisoformat(clock)).total_seconds())
