"""What people ask for in the address of a list of jobs, and how it is written there. No I/O."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pgqueue import codec
from pgqueue.errors import InvalidArgument
from pgqueue.job import State
from pgqueue.listing import filters
from pgqueue.listing.filters import Filters

if TYPE_CHECKING:
    from pgqueue.ui.masking import Masks
    from pgqueue.ui.visit import Visit

NAMES = ("state", *filters.NAMES)


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
    return Filters(states=_states(given["state"]), **texts, **objects, **times)  # type: ignore[arg-type]


def fields(asked: Filters) -> dict[str, str | None]:
    """Return what was asked for as it stands in an address or a form; None: not asked for."""
    return {name: _written(getattr(asked, name)) for name in NAMES}


def _states(written: str | None) -> tuple[State, ...]:
    try:
        return (State(written),) if written else ()
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
