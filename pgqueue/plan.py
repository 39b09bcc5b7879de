"""A flow on its way to the database: entries (jobs and barriers) and what each waits for. I/O-free.

`flow.py` lays chains, groups and the like out on a plan; the database's `enqueue_flow` takes the plan's JSON. A barrier
is no job and ends by itself. It stands where many wait for many, so that 100 x 100 jobs make 200 links, not 10,000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pgqueue.calls import as_json
from pgqueue.codec import dumps
from pgqueue.errors import ArgumentError

if TYPE_CHECKING:
    from pgqueue.job import NewJob
    from pgqueue.request import PendingJob, Sender

When = Literal["succeeded", "ended", "failed", "not_failed", "if_succeeded"]
OnFailure = Literal["cancel", "dead", "wait"]
Results = Mapping[int, Any]
Mark = Callable[["NewJob"], "NewJob"]
DEEPEST = 100  # flows inside one another; each takes a few frames of Python's stack

# What a condition on a flow means for its callbacks and undos, which may be skipped.
_SOFTLY: Mapping[When, When] = {
    "succeeded": "not_failed",
    "if_succeeded": "not_failed",
    "not_failed": "not_failed",
    "ended": "ended",
    "failed": "ended",
}


@dataclass(frozen=True, slots=True)
class Parent:
    """Something to wait for: an entry of the plan, or by its id a job that is in the database already."""

    place: int | None = None
    id: int | None = None
    soft: bool = False  # a callback or an undo, which may be skipped

    def when(self, condition: When) -> Edge:
        """Wait for it under a condition."""
        return Edge(self, _SOFTLY[condition] if self.soft else condition)


@dataclass(frozen=True, slots=True)
class Edge:
    """What an entry waits for, and when that lets it run."""

    parent: Parent
    condition: When


@dataclass(frozen=True, slots=True)
class Span:
    """What a member of a flow became on the plan."""

    entries: Sequence[int]
    exits: Sequence[Parent]
    read: Callable[[Results], Any]  # its result, from the results of the plan's jobs by place


@dataclass(slots=True)
class Entry:
    """A job, or without one a barrier."""

    job: PendingJob[Any] | None = None
    name: str | None = None
    role: str | None = None
    verdict: bool = False
    gather: bool = False
    on_failure: OnFailure = "cancel"
    edges: dict[Parent, When] = field(default_factory=dict)

    def as_json(self, mark: Mark) -> str:
        """Write it as `enqueue_flow` takes it, its job as `mark` returns it."""
        said: dict[str, Any] = {"after": [_edge_as_json(parent, when) for parent, when in self.edges.items()]}
        said |= {name: value for name in ("name", "role") if (value := getattr(self, name)) is not None}
        said |= {name: True for name in ("verdict", "gather") if getattr(self, name)}
        if self.edges and self.role != "undo":
            said["on_failure"] = self.on_failure
        if self.job is None:
            return dumps(said | {"barrier": True})
        # A flow has its keys or is refused, whatever their policy.
        return f"{as_json(mark(self.job.new), leave_out='key_policy')[:-1]},{dumps(said)[1:]}"


class Plan:
    """The entries of one flow."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.sender: Sender | None = None
        self._open: list[object] = []

    @contextmanager
    def nested(self, member: object) -> Iterator[None]:
        """Lay a flow out. Raises ArgumentError when it is inside itself, or inside too many others."""
        if any(member is outer for outer in self._open):
            raise ArgumentError(f"{member!r} is a member of itself")
        if len(self._open) == DEEPEST:
            raise ArgumentError(
                f"{member!r} is inside more than {DEEPEST} flows; a chain or a dag takes any number of members"
            )
        self._open.append(member)
        yield
        self._open.pop()

    @property
    def jobs(self) -> list[tuple[int, PendingJob[Any]]]:
        """The jobs with their places."""
        return [(place, entry.job) for place, entry in enumerate(self.entries) if entry.job is not None]

    @property
    def news(self) -> list[NewJob]:
        """What the jobs ask for."""
        return [job.new for _, job in self.jobs]

    def add(self, entry: Entry) -> int:
        """Take one more entry and return its place. Raises ArgumentError for a job of another App."""
        if entry.job is not None:
            self._check(entry.job)
        self.entries.append(entry)
        return len(self.entries) - 1

    def link(self, edges: Iterable[Edge], entries: Sequence[int], *, on_failure: OnFailure = "cancel") -> None:
        """Let entries wait; a barrier is put between many and many. Raises ArgumentError when a parent comes twice."""
        edges = list(edges)
        if len(edges) > 1 and len(entries) > 1:
            barrier = self.add(Entry())
            self._wait(barrier, edges, on_failure)
            edges = [Edge(Parent(barrier), "succeeded")]
        for place in entries:
            self._wait(place, edges, on_failure)

    def as_json(self, mark: Mark) -> str:
        """Write the array of entries, their jobs as `mark` returns them."""
        return "[" + ",".join(entry.as_json(mark) for entry in self.entries) + "]"

    def _wait(self, place: int, edges: list[Edge], on_failure: OnFailure) -> None:
        entry = self.entries[place]
        if edges and on_failure != "cancel":
            entry.on_failure = on_failure
        for edge in edges:
            if edge.parent in entry.edges:
                what = f"job {edge.parent.id}" if edge.parent.id is not None else "the same job"
                raise ArgumentError(f"after: {what} is named twice; name it once, with one condition")
            entry.edges[edge.parent] = edge.condition

    def _check(self, job: PendingJob[Any]) -> None:
        if self.sender is None:
            self.sender = job.task.sender
        if job.task.sender is not self.sender:
            raise ArgumentError(f'task "{job.new.task}" belongs to another App than the rest of the flow')
        if job.new.key_policy == "replace":
            raise ArgumentError(
                f'task "{job.new.task}": a job of a flow cannot replace another one; leave key_policy out'
            )


def _edge_as_json(parent: Parent, when: When) -> Any:
    if parent.id is None and when == "succeeded":
        return parent.place
    where = {"index": parent.place} if parent.id is None else {"id": parent.id}
    return {**where, "when": when}
