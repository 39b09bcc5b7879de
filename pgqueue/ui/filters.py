"""What people ask for in the address of a list of jobs, as parameters of its statements. No I/O."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pgqueue import codec
from pgqueue.errors import InvalidArgument
from pgqueue.job import State

if TYPE_CHECKING:
    from pgqueue.ui.masking import Masks
    from pgqueue.ui.visit import Visit

NAMES = ("state", "queue", "task", "key", "group", "error", "since", "until", "args", "meta")
UNFINISHED = (State.READY, State.RUNNING, State.SCHEDULED, State.BLOCKED)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list of jobs; None: not asked for."""

    state: State | None = None
    queue: str | None = None
    task: str | None = None
    key: str | None = None
    group: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    args: str | None = None  # JSON objects that are contained
    meta: str | None = None

    @property
    def by_contents(self) -> bool:
        """Whether each job's arguments have to be read for it."""
        return self.args is not None or self.meta is not None or self.group is not None

    @property
    def by_index(self) -> bool:
        """Whether only state and queue are asked for, so that unfinished jobs can be listed as they are due."""
        return self == Filters(state=self.state, queue=self.queue)

    @property
    def are_none(self) -> bool:
        """Whether nothing is asked for."""
        return self == Filters()

    def params(self) -> dict[str, Any]:
        """Return the parameters of the statements."""
        named = {name: getattr(self, name) for name in NAMES}
        return {**named, "contents": self.by_contents}

    def fields(self) -> dict[str, str | None]:
        """Return what was asked for as it stands in an address or a form; None: not asked for."""
        return {name: _written(getattr(self, name)) for name in NAMES}

    def without(self, *names: str) -> "Filters":
        """Return these filters without some."""
        return replace(self, **dict.fromkeys(names))


def read(visit: "Visit", *, sees_contents: bool, masks: "Masks") -> Filters:
    """Read the filters of an address. Raises InvalidArgument for what is none, and for questions about what the visitor
    may not see: which jobs fit would be an answer."""
    given = {name: (visit.query(name) or "").strip() or None for name in NAMES}
    hidden = [name for name in ("args", "meta", "error") if given[name] and not sees_contents]
    if hidden:
        raise InvalidArgument(f"{hidden[0]}: viewers may not filter by what jobs carry")
    objects = {name: _object(name, given[name], masks) for name in ("args", "meta")}
    times = {name: _moment(name, given[name]) for name in ("since", "until")}
    texts = {name: given[name] for name in ("queue", "task", "key", "group", "error")}
    return Filters(state=_state(given["state"]), **texts, **objects, **times)  # type: ignore[arg-type]


def _state(written: str | None) -> State | None:
    try:
        return State(written) if written else None
    except ValueError:
        raise InvalidArgument(f'state "{written}": the states are {", ".join(State)}') from None


def _moment(name: str, written: str | None) -> datetime | None:
    """Read a time; without a zone it is UTC, as all times on these pages are."""
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
        return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(f'{name}: "{written[:40]}" is not a time; write 2026-11-22T08:00, which is UTC') from None


def _object(name: str, written: str | None, masks: "Masks") -> str | None:
    if written is None:
        return None
    try:
        value = json.loads(written)
        codec.dumps(value)
    except (ValueError, RecursionError, codec.Misfit):
        value = None
    if not isinstance(value, dict):
        raise InvalidArgument(f'{name}: must be a JSON object that is contained in it, such as {{"user_id": 7}}')
    if masks.value(value) != value:
        raise InvalidArgument(f"{name}: what is hidden by a rule cannot be asked for")
    return written


def _written(value: Any) -> str | None:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    return None if value is None else str(value)
