"""Batches: many jobs, and what follows once all have ended. I/O-free.

A batch is its members, a barrier that has failed if any of them has, and the callbacks after it, all there from the
beginning. Members are counted by the barrier without a hot row: see `advance_nodes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pgqueue.errors import ArgumentError
from pgqueue.flow import Flow, Member, checked, lay, side_by_side
from pgqueue.plan import Edge, Entry, Parent, Plan, Span
from pgqueue.request import PendingJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pgqueue.plan import When


class Batch(Flow):
    """Members side by side, and what follows once all have ended."""

    kind = "batch"

    def __init__(
        self, members: Sequence[Member], *, callbacks: Mapping[str, Member | None], name: str | None = None
    ) -> None:
        super().__init__(name)
        self._members = checked(self.kind, members)
        given = {role: member for role, member in callbacks.items() if member is not None}
        self._callbacks = dict(zip(given, checked(self.kind, list(given.values())), strict=True))

    def lay(self, plan: Plan) -> Span:
        """Put the members on a plan, a barrier that knows whether all succeeded, and the callbacks after it."""
        spans = [lay(plan, member) for member in self._members]
        barrier = plan.add(Entry(verdict=True, gather=len(spans) > 1))
        plan.link([parent.when("ended") for span in spans for parent in span.exits], [barrier])
        exits = [Parent(barrier)]
        for role, member in self._callbacks.items():
            callback = lay(plan, member, role=role)
            plan.link([Edge(Parent(barrier), _CALLBACKS[role])], callback.entries)
            exits += [Parent(parent.place, soft=True) for parent in callback.exits]
        beside = side_by_side(spans)
        return Span(beside.entries if beside else [barrier], exits, beside.read if beside else lambda _: [])


_CALLBACKS: Mapping[str, When] = {"on_success": "if_succeeded", "on_done": "ended", "on_failed": "failed"}


def batch(
    members: Iterable[Member],
    *,
    on_success: Member | None = None,
    on_done: Member | None = None,
    on_failed: Member | None = None,
    name: str | None = None,
) -> Batch:
    """Run many members side by side, and when the last has ended run callbacks, each at most once.

    `on_success` runs if all succeeded, `on_failed` if any failed for good or was cancelled, `on_done` in any case. They
    are enqueued with the batch, in its transaction. A member that is retried by hand after that fires nothing
    again, but if all succeed in the end `on_success` runs, which had been skipped.
    Members may add more while they run: `ctx.add`. A batch of nothing has succeeded. Raises ArgumentError.
    """
    if isinstance(members, PendingJob | Flow) or not isinstance(members, Iterable):
        raise ArgumentError(f"batch: takes a list of jobs and flows, batch([task.job(...)]), got {members!r}")
    callbacks = {"on_success": on_success, "on_done": on_done, "on_failed": on_failed}
    return Batch(list(members), callbacks=callbacks, name=name)
