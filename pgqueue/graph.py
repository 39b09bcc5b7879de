"""Graphs of jobs without cycles: a node comes after nodes that were added before it. I/O-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgqueue.errors import ArgumentError
from pgqueue.flow import Failure, Flow, Member, check_label, checked, lay, nothing, policy_of
from pgqueue.plan import Edge, Parent, Plan, Span
from pgqueue.request import PendingJob

if TYPE_CHECKING:
    from pgqueue.handle import Handle
    from pgqueue.plan import OnFailure, When


@dataclass(frozen=True, slots=True, repr=False)
class Node:
    """A member of a dag, or by its id a job that was there before. As a parent in `after` it must succeed; `.ended` and
    `.failed` ask for something else.
    """

    dag: Dag
    place: int
    existing: int | None = None

    @property
    def succeeded(self) -> Condition:
        """As a parent: it must have succeeded, the default."""
        return Condition(self, "succeeded")

    @property
    def ended(self) -> Condition:
        """As a parent: the child runs whatever came of it."""
        return Condition(self, "ended")

    @property
    def failed(self) -> Condition:
        """As a parent: the child runs only if it failed or was cancelled (or another that is asked for so), and is
        skipped otherwise.
        """
        return Condition(self, "failed")


@dataclass(frozen=True, slots=True)
class Condition:
    """A node as a parent, with what has to become of it."""

    node: Node
    when: When


@dataclass(frozen=True, slots=True)
class _Added:
    member: Member
    after: tuple[Condition, ...]
    name: str | None
    on_failure: OnFailure


class Dag(Flow):
    """Any graph of members without cycles: nodes come after nodes that were added before them."""

    kind = "dag"

    def __init__(self, *, on_failure: Failure = "cancel", name: str | None = None) -> None:
        super().__init__(name)
        policy_of(self.kind, on_failure)
        self._default: Failure = on_failure
        self._nodes: list[_Added] = []

    def add(
        self,
        member: Member,
        *,
        after: Iterable[Node | Condition | Handle[Any]] = (),
        on_failure: Failure | None = None,
        name: str | None = None,
    ) -> Node:
        """Add a job or a flow that runs after others: nodes of this dag, or handles of jobs enqueued before.

        `after=[first, second.ended, third.failed]` says what has to become of each. `on_failure` says what becomes of
        this node when a parent that must succeed does not: "cancel" it, "run" it all the same, make it a "dead" letter,
        or "wait" until somebody has retried the parent and it succeeded. `name` labels a job for its children and for
        people. Raises ArgumentError.
        """
        (found,) = checked("dag", [member])
        if name is not None and not isinstance(found, PendingJob):
            raise ArgumentError("dag: name labels a job; a flow has a name of its own: chain(..., name=...)")
        check_label(self.kind, name)
        when, policy = policy_of(self.kind, self._default if on_failure is None else on_failure)
        if not isinstance(after, Iterable):
            raise ArgumentError(f"dag: after takes a list, after=[first, second.ended], got {after!r}")
        node = Node(self, len(self._nodes))
        conditions = tuple(self._condition(parent, when) for parent in after)
        self._nodes.append(_Added(found, conditions, name, policy))
        return node

    def existing(self, handle: Handle[Any]) -> Node:
        """Return a job that is in the database already as a node, to ask for its end: `g.existing(handle).ended`."""
        if not _is_handle(handle):
            raise ArgumentError(f"dag: existing takes the handle of a job, got {handle!r}")
        return Node(self, -1, existing=handle.id)

    def lay(self, plan: Plan) -> Span:
        """Put the nodes on a plan. Its result is the list of its nodes' results, in the order of `add`."""
        spans: list[Span] = []
        followed: set[int] = set()
        for added in self._nodes:
            span = lay(plan, added.member, name=added.name)
            edges = [edge for condition in added.after for edge in self._edges(condition, spans)]
            followed |= {condition.node.place for condition in added.after}
            plan.link(edges, span.entries, on_failure=added.on_failure)
            spans.append(span)
        if not spans:
            return nothing(plan, [])
        roots = [not any(c.node.existing is None for c in added.after) for added in self._nodes]
        first = [place for root, span in zip(roots, spans, strict=True) if root for place in span.entries]
        last = [parent for place, span in enumerate(spans) if place not in followed for parent in span.exits]
        return Span(first, last, lambda results: [span.read(results) for span in spans])

    def _edges(self, condition: Condition, spans: list[Span]) -> list[Edge]:
        node = condition.node
        parents = [Parent(id=node.existing)] if node.existing is not None else spans[node.place].exits
        return [parent.when(condition.when) for parent in parents]

    def _condition(self, parent: Any, when: When) -> Condition:
        found = parent
        if isinstance(found, Node):
            found = Condition(found, when)
        elif _is_handle(found):
            found = Condition(self.existing(found), when)
        if not isinstance(found, Condition):
            raise ArgumentError(f"dag: after takes nodes that add returned, and handles of jobs, got {parent!r}")
        if found.node.dag is not self:
            raise ArgumentError("dag: after names a node of another dag; nest that dag as a node instead")
        return found


def _is_handle(given: Any) -> bool:
    return isinstance(getattr(given, "id", None), int)


def dag(*, on_failure: Failure = "cancel", name: str | None = None) -> Dag:
    """Return an empty graph; add members to it with `add`, and enqueue it.

    `on_failure` is the policy of nodes that do not say their own; see `Dag.add`. Raises ArgumentError.
    """
    return Dag(on_failure=on_failure, name=name)
