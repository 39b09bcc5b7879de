"""Keeps what attempts came to until the database has it. Comes after execute, before history.

Successes without a result are kept apart, as pairs of id and token, because they take a cheaper way through SQL. A
batch that was sent and not answered is sent again: the lease token makes a second settling of the same attempt a no-
op, so that a lost answer costs nothing (I6).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgqueue import codec
from pgqueue.capture import Lines
from pgqueue.worker.attempt import ATTEMPT
from pgqueue.worker.recent import Recent

if TYPE_CHECKING:
    from datetime import timedelta

    from pgqueue.worker.attempt import Attempt

log = logging.getLogger(__name__)

LOGS_BYTES = 4 * 1024 * 1024  # of log lines that wait to be settled: a server that is away must not fill the memory
DATA_ERRORS = ("22", "23", "54")  # SQLSTATE classes that blame what was sent


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step settles: `ids` ascend, `tokens` go with them; `outcomes` is a JSON array of `others`, or None.

    `logs` is one of the log lines of attempts, these or others that are not settled before them.
    """

    ids: list[int]
    tokens: list[int]
    outcomes: str | None
    others: int
    logs: str | None = None

    def __len__(self) -> int:
        return len(self.ids) + self.others

    def __bool__(self) -> bool:
        return bool(len(self) or self.logs)


NOTHING = Batch([], [], None, 0)
Outcome = tuple[int, int] | str  # a plain success, id and token; or any other, as JSON


def batch_of(plain: list[tuple[int, int]], others: list[str], logs: list[str] | None = None) -> Batch:
    """A batch of successes, ids ascending, of the texts of other outcomes, and of log lines."""
    outcomes = f"[{','.join(others)}]" if others else None
    told = f"[{','.join(logs)}]" if logs else None
    return Batch([job for job, _ in plain], [token for _, token in plain], outcomes, len(others), told)


class Outbox:
    """Outcomes on their way to the database."""

    def __init__(self) -> None:
        self._plain: list[tuple[int, int]] = []
        self._others: list[str] = []
        self._singly: list[Outcome] = []  # one of these is not taken by the database: each is sent by itself
        self._sent_plain: list[tuple[int, int]] = []
        self._sent_others: list[str] = []
        self._sent_singly: Outcome | None = None
        self._logs: list[str] = []  # all of them go with the next batch: never after the outcome of their attempt
        self._sent_logs: list[str] = []
        self._logs_bytes = 0
        self._returned: tuple[int, int] | None = None  # what of the plain and the others came back; None: a single one
        self.recent = Recent()

    def __len__(self) -> int:
        return len(self._plain) + len(self._others) + len(self._singly) + len(self._logs)

    @property
    def careful(self) -> bool:
        """Whether outcomes are sent one by one: then a refusal blames the one that was sent."""
        return bool(self._singly)

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

    def logged(self, attempt: Attempt) -> None:
        """Keep the log lines of an attempt, before its outcome. Of more than LOGS_BYTES only the number is kept."""
        lines = attempt.lines or Lines()
        if self._logs_bytes + lines.bytes > LOGS_BYTES:
            lines.drop()
        text = (
            f'{{"id":{attempt.id},"token":{attempt.token},"attempt":{attempt.row[ATTEMPT]},'
            f'"worker_id":{attempt.worker},"lines":{lines.as_json()}}}'
        )
        self._logs.append(text)
        self._logs_bytes += lines.bytes

    def take(self, limit: int = 1000) -> Batch:
        """The next batch to send: at most `limit` plain successes, and the others. Call `recorded` or `restore`
        after.
        """
        plain: list[tuple[int, int]] = []
        others: list[str] = []
        if self._singly:
            one = self._sent_singly = self._singly.pop(0)
            plain, others = ([], [one]) if isinstance(one, str) else ([one], [])
        else:
            plain, self._plain = self._plain[:limit], self._plain[limit:]
            others, self._others = self._others[:limit], self._others[limit:]
            plain.sort()
        self._sent_plain, self._sent_others = plain, others
        self._sent_logs, self._logs = self._logs, []
        if not plain and not others and not self._sent_logs:
            return NOTHING
        return batch_of(plain, others, self._sent_logs)

    def recorded(self, clock: str) -> None:
        """The batch that was taken is in the database, since this time of its clock."""
        if self._sent_plain or self._sent_others:
            self.recent.keep(clock, self._sent_plain, self._sent_others)
        self._sent_plain, self._sent_others, self._sent_singly = [], [], None
        if self._sent_logs:
            self._sent_logs = []
            self._logs_bytes = sum(map(len, self._logs))

    def unsent(self) -> list[tuple[int, int]]:
        """The jobs and tokens of what was not acknowledged yet."""
        singly = [one for one in self._singly if not isinstance(one, str)]
        texts = [*self._sent_others, *self._others, *(one for one in self._singly if isinstance(one, str))]
        others = map(codec.loads, texts)
        return [*self._sent_plain, *self._plain, *singly, *((other["id"], other["token"]) for other in others)]

    def restore(self) -> None:
        """The batch that was taken may not be in the database: send it again."""
        if self._sent_singly is not None:
            self._singly.insert(0, self._sent_singly)
            self._returned = None
        else:
            self._plain = self._sent_plain + self._plain
            self._others = self._sent_others + self._others
            self._returned = len(self._sent_plain), len(self._sent_others)
        self._sent_plain, self._sent_others, self._sent_singly = [], [], None
        self._logs, self._sent_logs = self._sent_logs + self._logs, []

    def refused(self, sqlstate: str) -> None:
        """The server refused the batch that was restored. Log lines are dropped first, whatever it says: they must not
        hold up outcomes. Then, if the data are to blame, its outcomes are sent one by one,
        and the one that cannot be recorded becomes a dead letter that says so: it must not hold up the others (I15).
        """
        if self._logs:
            log.warning("log lines of attempts were refused and are dropped", extra={"sqlstate": sqlstate})
            self._logs, self._logs_bytes = [], 0
            return
        if sqlstate[:2] not in DATA_ERRORS:
            return  # a full disk, a missing grant: the same batch again
        if self._returned is None:
            self._condemn(self._singly.pop(0), sqlstate)
            return
        plain, others = self._returned
        self._singly += [*self._plain[:plain], *self._others[:others]]
        del self._plain[:plain], self._others[:others]

    def _condemn(self, one: Outcome, sqlstate: str) -> None:
        plain = {"id": one[0], "token": one[1], "outcome": "succeeded"}
        refused: dict[str, Any] = codec.loads(one) if isinstance(one, str) else plain
        if refused.get("error", {}).get("type") == "Unrecordable":
            log.error(
                "an outcome cannot be recorded; its job waits for the end of this worker", extra={"job": refused["id"]}
            )
            return
        message = f"the outcome {refused['outcome']} of this attempt was refused by the database (SQLSTATE {sqlstate})"
        error = {"type": "Unrecordable", "message": message}
        dead = {"id": refused["id"], "token": refused["token"], "outcome": "dead", "error": error}
        self._singly.insert(0, codec.dumps(dead))
