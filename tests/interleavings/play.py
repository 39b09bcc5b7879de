"""Plays the orders of a cast, and judges each: what two or three sessions do at once in a world."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from tests.interleavings.runner import History, orders
from tests.interleavings.stage import Stage
from tests.interleavings.worlds import WORLDS


@dataclass(frozen=True, slots=True)
class Cast:
    """Moves of a world, one for each session: "running:settle,rescue"."""

    world: str
    moves: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.world}:{','.join(self.moves)}"

    @classmethod
    def read(cls, text: str) -> "Cast":
        world, _, names = text.partition(":")
        return cls(world, tuple(names.split(",")))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an order of a cast came to."""

    cast: Cast
    history: History
    violations: list[str]

    def __str__(self) -> str:
        """How to see it again, what happened, and what does not hold."""
        again = f"pytest 'tests/interleavings/test_orders.py::test_one_order[{self.cast}:{self.history.order}]'"
        return "\n".join([again, *(f"    {line}" for line in self.history.lines), *self.violations])


def play(stage: Stage, cast: Cast, order: str = "") -> Verdict:
    """Play one order of a cast on an empty stage, and ask for the invariants before and after what is left is done."""
    stage.reset()
    scripts = WORLDS[cast.world](stage)
    history = stage.conductor.play([scripts[name](n) for n, name in enumerate(cast.moves)], order)
    violations = [f"I14: {error}" for error in history.errors] + stage.violations("after the order")
    if not violations:
        violations = stage.drain() + stage.violations("after all is done")
    return Verdict(cast, history, violations)


def play_all(stage: Stage, cast: Cast) -> Iterator[Verdict]:
    """Play every order of a cast."""
    verdicts: list[Verdict] = []

    def one(order: str) -> History:
        verdicts.append(play(stage, cast, order))
        return verdicts[-1].history

    for _ in orders(one):
        yield verdicts.pop()


def broken(stage: Stage, casts: Sequence[Cast]) -> tuple[int, list[Verdict]]:
    """Play every order of these casts; return how many there were, and those after which something did not hold."""
    played = [verdict for cast in casts for verdict in play_all(stage, cast)]
    return len(played), [verdict for verdict in played if verdict.violations]


def pairs(stage: Stage, world: str) -> list[Cast]:
    """Each pair of moves of a world, a move with itself as well."""
    stage.reset()
    return [Cast(world, pair) for pair in combinations_with_replacement(WORLDS[world](stage), 2)]
