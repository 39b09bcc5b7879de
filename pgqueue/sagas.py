"""Sagas: steps, undone in reverse order when one fails. I/O-free.

An undo comes after its step (it is skipped where that did not succeed), after a barrier that has failed if any step has
(it is skipped where none did), and after the undo of the next step.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pgqueue.errors import ArgumentError
from pgqueue.flow import Flow, nothing
from pgqueue.plan import Edge, Entry, Parent, Plan, Span
from pgqueue.request import PendingJob

if TYPE_CHECKING:
    from collections.abc import Sequence


class Saga(Flow):
    """Steps one after the other, with what undoes them."""

    kind = "saga"

    def __init__(self, steps: Sequence[tuple[Any, Any]], *, name: str | None = None) -> None:
        super().__init__(name)
        self._steps = [_step(place, step) for place, step in enumerate(steps)]

    def lay(self, plan: Plan) -> Span:
        """Put the steps on a plan; a barrier that knows whether all succeeded; the undos after it, last first."""
        steps = [plan.add(Entry(do, role="step")) for do, _ in self._steps]
        if not steps:
            return nothing(plan, [])
        for before, after in pairwise(steps):
            plan.link([Edge(Parent(before), "succeeded")], [after])
        verdict = plan.add(Entry(verdict=True))
        plan.link([Edge(Parent(step), "ended") for step in steps], [verdict])
        exits = [Parent(verdict)]
        later: list[Edge] = []
        for step, (_, undo) in reversed(list(zip(steps, self._steps, strict=True))):
            if undo is None:
                continue
            place = plan.add(Entry(undo, role="undo"))
            plan.link([Edge(Parent(step), "if_succeeded"), Edge(Parent(verdict), "failed"), *later], [place])
            later = [Edge(Parent(place), "not_failed")]
            exits.append(Parent(place, soft=True))
        return Span(steps[:1], exits, lambda results: [results.get(step) for step in steps])


def saga(*steps: tuple[PendingJob[Any], PendingJob[Any] | None], name: str | None = None) -> Saga:
    """Run steps one after the other; when one fails for good, undo those that succeeded, the last one first.

    A step is a job and the job that undoes it, or None where there is nothing to undo. Undos are jobs like any, tried
    again by their own policies. One that fails for good is a dead letter that names what is left undone; the earlier
    ones wait until it was retried and succeeded. The step that failed is not undone: it has to be harmless when it
    fails. Raises ArgumentError.
    """
    return Saga(steps, name=name)


def _step(place: int, step: Any) -> tuple[PendingJob[Any], PendingJob[Any] | None]:
    if isinstance(step, PendingJob):
        return step, None
    if isinstance(step, tuple | list) and len(step) == 2:
        do, undo = step
        if isinstance(do, PendingJob) and (undo is None or isinstance(undo, PendingJob)):
            return do, undo
    raise ArgumentError(
        f"saga: step {place} must be (do.job(...), undo.job(...)), or None to undo nothing, got {step!r}"
    )
