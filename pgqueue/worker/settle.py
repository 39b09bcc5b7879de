"""Keeps what attempts came to until the database has it. Comes after execute, before history.

Successes without a result are kept apart, as pairs of id and token, because they take a cheaper way through SQL. A
batch that was sent and not answered is sent again: the lease token makes a second settling of the same attempt a no-
op, so that a lost answer costs nothing (I6).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgqueue import codec
from pgqueue.worker.recent import Recent

if TYPE_CHECKING:
    from datetime import timedelta

    from pgqueue.worker.attempt import Attempt

log = logging.getLogger(__name__)

DATA_ERRORS = ("22", "23", "54")  # SQLSTATE classes that blame what was sent


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step settles: `ids` ascend, `tokens` go with them; `outcomes` is a JSON array or None."""

    ids: list[int]
    tokens: list[int]
    outcomes: str | None

    def __len__(self) -> int:
        return len(self.ids) + (self.outcomes is not None)


NOTHING = Batch([], [], None)


def batch_of(plain: list[tuple[int, int]], others: list[str]) -> Batch:
    """A batch of successes, ids ascending, and of the texts of other outcomes."""
    return Batch([job for job, _ in plain], [token for _, token in plain], f"[{','.join(others)}]" if others else None)


class Outbox:
    """Outcomes on their way to the database."""

    def __init__(self) -> None:
        self._plain: list[tuple[int, int]] = []
        self._others: list[str] = []
        self._sent_plain: list[tuple[int, int]] = []
        self._sent_others: list[str] = []
        self.recent = Recent()
        self._careful = 0  # how many of the others are sent one by one

    def __len__(self) -> int:
        return len(self._plain) + len(self._others)

    def succeeded(self, attempt: Attempt, result: str | None = None) -> None:
        """Keep a success; `result` is JSON text."""
        if result is None:
            self._plain.append((attempt.id, attempt.token))
        else:
            self._others.append(
                f'{{"id":{attempt.id},"token":{attempt.token},"outcome":"succeeded","result":{result}}}'
            )

    def ended(
        self,
        attempt: Attempt,
        outcome: str,
        *,
        delay: timedelta | None = None,
        error: dict[str, str] | None = None,
        alone: bool = False,
    ) -> None:
        """Keep any other outcome: failed, dead, cancelled, expired, snoozed, released or lost."""
        fields = {"id": attempt.id, "token": attempt.token, "outcome": outcome, "error": error, "alone": alone or None}
        if delay is not None:
            fields["delay"] = delay.total_seconds()
        self._others.append(codec.dumps({name: value for name, value in fields.items() if value is not None}))

    def take(self, limit: int = 1000) -> Batch:
        """The next batch to send: at most `limit` plain successes, and the others. Call `recorded` or `restore`
        after.
        """
        if self._careful:
            others, self._others = self._others[:1], self._others[1:]
            plain, self._careful = [], self._careful - 1
        else:
            plain, self._plain = self._plain[:limit], self._plain[limit:]
            others, self._others = self._others[:limit], self._others[limit:]
        plain.sort()
        self._sent_plain, self._sent_others = plain, others
        if not plain and not others:
            return NOTHING
        return batch_of(plain, others)

    def recorded(self, clock: str) -> None:
        """The batch that was taken is in the database, since this time of its clock."""
        if self._sent_plain or self._sent_others:
            self.recent.keep(clock, self._sent_plain, self._sent_others)
        self._sent_plain, self._sent_others = [], []

    def unsent(self) -> list[tuple[int, int]]:
        """The jobs and tokens of what was not acknowledged yet."""
        others = map(codec.loads, [*self._sent_others, *self._others])
        return [*self._sent_plain, *self._plain, *((other["id"], other["token"]) for other in others)]

    def restore(self) -> None:
        """The batch that was taken may not be in the database: send it again."""
        self._plain = self._sent_plain + self._plain
        self._others = self._sent_others + self._others
        self._careful += bool(self._careful)
        self._sent_plain, self._sent_others = [], []

    def refused(self, sqlstate: str) -> None:
        """The server refused the batch that was restored. If the data are to blame, outcomes are sent one by one from
        now on, and the one that cannot be recorded becomes a dead letter that says so: it must not hold up the others
        (I15).
        """
        if sqlstate[:2] not in DATA_ERRORS:
            return  # a full disk, a missing grant: the same batch again
        if self._careful and self._others:
            refused = codec.loads(self._others.pop(0))
            if refused.get("error", {}).get("type") == "Unrecordable":
                log.error(
                    "an outcome cannot be recorded; its job waits for the end of this worker",
                    extra={"job": refused["id"]},
                )
                return
            message = (
                f"the outcome {refused['outcome']} of this attempt was refused by the database (SQLSTATE {sqlstate})"
            )
            error = {"type": "Unrecordable", "message": message}
            self._others.insert(
                0, codec.dumps({"id": refused["id"], "token": refused["token"], "outcome": "dead", "error": error})
            )
        self._careful = len(self._others)
