"""What people ask for in a list of jobs, as parameters of its statements. No I/O."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pgqueue.job import State

NAMES = ("queue", "task", "key", "group", "error", "since", "until", "args", "meta")
UNFINISHED = (State.READY, State.RUNNING, State.SCHEDULED, State.BLOCKED)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list of jobs; None: not asked for. `states`: any of them, of none all."""

    states: tuple[State, ...] = ()
    queue: str | None = None
    task: str | None = None
    key: str | None = None
    group: str | None = None
    error: str | None = None  # its type
    since: datetime | None = None  # of being enqueued
    until: datetime | None = None
    args: str | None = None  # JSON objects that are contained
    meta: str | None = None

    @property
    def state(self) -> State | None:
        """The only state that is asked for, if there is one."""
        return self.states[0] if len(self.states) == 1 else None

    @property
    def by_contents(self) -> bool:
        """Whether each job's arguments have to be read for it."""
        return self.args is not None or self.meta is not None or self.group is not None

    @property
    def by_index(self) -> bool:
        """Whether only states and a queue are asked for, so that unfinished jobs can be listed as they are due."""
        return self == Filters(states=self.states, queue=self.queue)

    @property
    def are_none(self) -> bool:
        """Whether nothing is asked for."""
        return self == Filters()

    def params(self) -> dict[str, Any]:
        """Return the parameters of the statements."""
        named = {name: getattr(self, name) for name in NAMES}
        return {**named, "states": [str(state) for state in self.states] or None, "contents": self.by_contents}

    def of(self, *states: State) -> "Filters":
        """Return these filters with other states."""
        return replace(self, states=states)
