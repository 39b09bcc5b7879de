"""Flows: jobs that wait for others, composed before they are enqueued and enqueued as a whole. I/O-free.

    chain(a.job(1), b.job(2))                       one after the other
    group(a.job(1), b.job(2))                       side by side
    dag()                                           any graph without cycles (graph.py)
    batch(jobs, on_success=, on_done=, on_failed=)  many jobs, and what follows once all have ended (batches.py)
    saga((do.job(), undo.job()), ...)               steps, undone in reverse order when one fails (sagas.py)

Each is a member of any other. Enqueueing is one statement in the caller's transaction: all of it is there, jobs that
wait too, or nothing. A job may start when the end of the last one that it waits for commits.

When a job fails for good, is cancelled or is discarded, the jobs that waited for its success are cancelled, and so on
down the flow; `on_failure` says otherwise. A retry of that job lets nothing run twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

from pgqueue import request
from pgqueue.errors import ArgumentError
from pgqueue.plan import Edge, Entry, Parent, Plan, Span
from pgqueue.request import PendingJob
from pgqueue.telling import brief

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.flowhandle import FlowHandle
    from pgqueue.plan import OnFailure, When
    from pgqueue.request import Sender

Failure = Literal["cancel", "run", "dead", "wait"]


class Flow(ABC):
    """Jobs that belong together. Made by chain, group, dag, batch and saga."""

    kind = ""

    def __init__(self, name: str | None = None) -> None:
        check_label(self.kind, name)
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.kind}{'' if self.name is None else ' ' + self.name}>"

    def enqueue(self, *, conn: Any = None, app: Sender | None = None) -> FlowHandle:
        """Put the flow into the database: in the transaction of `conn`, or else at once.

        `app` is needed only where there is no job to know it from. Raises ArgumentError, and KeyTaken when another job
        holds the key of one of these.
        """
        plan, span, sender = self._planned(app)
        return sender.send_flow(self, plan, read=span.read, conn=conn)

    async def aenqueue(self, *, conn: Any = None, app: Sender | None = None) -> FlowHandle:
        """Do as `enqueue` on an AsyncConnection or the App's async pool."""
        plan, span, sender = self._planned(app)
        return await sender.asend_flow(self, plan, read=span.read, conn=conn)

    @abstractmethod
    def lay(self, plan: Plan) -> Span:
        """Put the members on a plan."""

    def _planned(self, app: Sender | None) -> tuple[Plan, Span, Sender]:
        plan = Plan()
        span = lay(plan, self)
        sender = plan.sender or app
        if sender is None:
            raise ArgumentError(f"{self.kind}: there is no job in it to know the App from; enqueue it with app=app")
        if not hasattr(sender, "send_flow"):
            raise ArgumentError(f"{self.kind}: app must be an App, got {brief(sender)}")
        return plan, span, sender


Member = PendingJob[Any] | Flow


class Chain(Flow):
    """One member after the other."""

    kind = "chain"

    def __init__(self, members: Sequence[Member], *, on_failure: Failure = "cancel", name: str | None = None) -> None:
        super().__init__(name)
        self._members = checked(self.kind, members)
        self._when, self._on_failure = policy_of(self.kind, on_failure)

    def lay(self, plan: Plan) -> Span:
        """Put the members on a plan, each after the exits of the one before."""
        spans = [lay(plan, member) for member in self._members]
        if not spans:
            return nothing(plan, None)
        for before, after in pairwise(spans):
            edges = [parent.when(self._when) for parent in before.exits]
            plan.link(edges, after.entries, on_failure=self._on_failure)
        return Span(spans[0].entries, spans[-1].exits, spans[-1].read)


class Group(Flow):
    """Members side by side."""

    kind = "group"

    def __init__(self, members: Sequence[Member], *, name: str | None = None) -> None:
        super().__init__(name)
        self._members = checked(self.kind, members)

    def lay(self, plan: Plan) -> Span:
        """Put the members on a plan, nobody waiting for anybody."""
        return side_by_side([lay(plan, member) for member in self._members]) or nothing(plan, [])


def chain(*members: Member, on_failure: Failure = "cancel", name: str | None = None) -> Chain:
    """Run members one after the other. A member after a group waits for all of it.

    Its result is that of the last one. When one fails the rest is cancelled; `on_failure` says otherwise: "run" the
    rest all the same, make them "dead" letters, or "wait" until somebody has retried what failed and it succeeded.
    Raises ArgumentError.
    """
    return Chain(members, on_failure=on_failure, name=name)


def group(*members: Member, name: str | None = None) -> Group:
    """Run members side by side; what follows in a chain waits for all of them. Its result is the list of theirs.

    One that fails does not stop the others. A group of nothing has succeeded. Raises ArgumentError.
    """
    return Group(members, name=name)


def lay_all(members: Sequence[Any], *, after: int, when: When | None) -> Plan:
    """Put members side by side on a plan of their own, after a job by its id if there is a `when`.

    Raises ArgumentError.
    """
    plan = Plan()
    for member in checked("add", members):
        span = lay(plan, member)
        if when is not None:
            plan.link([Edge(Parent(id=after), when)], span.entries)
    return plan


def lay(plan: Plan, member: Member, *, name: str | None = None, role: str | None = None) -> Span:
    """Put a member on a plan; `name` and `role` are labels of a job. Raises ArgumentError."""
    if isinstance(member, Flow):
        with plan.nested(member):
            return member.lay(plan)
    place = plan.add(Entry(member, name=name, role=role))
    return Span([place], [Parent(place)], lambda results: results.get(place))


def side_by_side(spans: list[Span]) -> Span | None:
    """Return several members as one, whose result is the list of theirs; None for none."""
    if not spans:
        return None
    entries = [place for span in spans for place in span.entries]
    exits = [parent for span in spans for parent in span.exits]
    return Span(entries, exits, lambda results: [span.read(results) for span in spans])


def nothing(plan: Plan, result: Any) -> Span:
    """Stand for no members at all: a barrier, which ends at once."""
    place = plan.add(Entry())
    return Span([place], [Parent(place)], lambda _: result)


def checked(kind: str, members: Sequence[Any]) -> list[Member]:
    """Return the members. Raises ArgumentError for what cannot be one."""
    for place, member in enumerate(members):
        if isinstance(member, PendingJob | Flow):
            continue
        raise ArgumentError(
            f"{kind}: member {place} is neither a job nor a flow; {_remedy(member)}, got {brief(member)}"
        )
    return list(members)


def check_label(kind: str, name: Any) -> None:
    """Raise ArgumentError for what cannot be the name of a flow or of a job in it."""
    if name is not None and (fault := request.check_label(name)):
        raise ArgumentError(f"{kind}: name {fault}, got {brief(name)}")


def _remedy(member: Any) -> str:
    if callable(getattr(member, "job", None)):
        return "write task.job(...)"
    if isinstance(member, list | tuple):
        return "write chain(*jobs), group(*jobs) or batch(jobs)"
    return "take task.job(...), chain(...) ..."


def policy_of(kind: str, on_failure: Failure) -> tuple[When, OnFailure]:
    """Return what a policy means: for the link to a parent, and for the child. Raises ArgumentError."""
    if on_failure == "run":
        return "ended", "cancel"
    given: Any = on_failure
    if given not in get_args(Failure):
        raise ArgumentError(f"{kind}: on_failure must be one of {', '.join(get_args(Failure))}, got {brief(given)}")
    return "succeeded", on_failure
