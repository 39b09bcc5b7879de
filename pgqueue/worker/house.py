"""What a worker does for the house between two heartbeats (keeper/): which duties, in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgqueue.keeper import duties
from pgqueue.keeper.retention import Retention
from pgqueue.keeper.ticking import tick_due
from pgqueue.worker import outside

if TYPE_CHECKING:
    from collections.abc import Callable

RESCUE = 0  # the place of this duty


def house(
    dsn: str, lease_seconds: float, *, may_judge: Callable[[], bool], on_late: Callable[[], None]
) -> list[duties.Duty]:
    """The duties of a worker; `may_judge` and `on_late` are the rescue's."""
    return [
        duties.rescuing(lease_seconds / 3, may_judge=may_judge, examine=outside.stopped, on_late=on_late),
        duties.sweep,
        duties.hand_on,
        duties.fold,
        duties.fold_statistics,
        duties.tidy,
        duties.forgetting_steps(),
        tick_due,
        Retention(dsn),
    ]
