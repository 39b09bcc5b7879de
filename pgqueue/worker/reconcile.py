"""After a failover or a restart of the server: finds out what it forgot of what this worker knows, and mends that.

Comes between reconnecting and claiming. Outcomes acknowledged lately are sent again, so that jobs whose end was
forgotten, but not their claim, do not run again. Then the jobs held here are compared with those that the database
believes to be here (`reconcile.sql`): what it has leased to this worker and the worker does not know is handed back;
handlers whose claim was forgotten are stopped, as others may run their jobs. What is gone is kept for `pgq doctor`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pgqueue.worker import claim as claims
from pgqueue.worker.attempt import CREATED_AT
from pgqueue.worker.settle import batch_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from pgqueue.worker.attempt import Attempt
    from pgqueue.worker.server import Server, Witness
    from pgqueue.worker.session import Rows
    from pgqueue.worker.settle import Outbox

log = logging.getLogger(__name__)

NO_TOKEN = 1  # tokens are drawn odd and large: this one claims nothing
SHOWN = 20


class Reconciler:
    """Compares once."""

    def __init__(
        self,
        run: Callable[[str, Mapping[str, Any]], Awaitable[Rows]],
        outbox: Outbox,
        *,
        step_params: Callable[[int, dict[str, Any], dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._run = run
        self._outbox = outbox
        self._step_params = step_params

    async def reconcile(
        self,
        worker_id: int,
        held: Sequence[Attempt],
        spared: set[int],
        *,
        before: Server,
        server: Server,
        witnesses: Iterable[Witness],
    ) -> list[int]:
        """Mend what can be mended; returns the held jobs whose handlers have to stop. `spared` are the tokens of claims
        on their way. Raises psycopg.Error; doing it again is harmless.
        """
        replaced = server.replaced(before)
        if replaced:
            await self._note(before, server, witnesses)
        again = await self._settle_again()
        params = self._params(held) | {
            "worker_id": worker_id,
            "spared": list(spared),
            "system": server.system if replaced else None,
            "timeline": server.timeline if replaced else None,
        }
        found: dict[str, list[int]] = {}
        for job, finding in await self._run("reconcile", params):
            found.setdefault(finding, []).append(job)
        _say(found, again, before=before, server=server, replaced=replaced)
        here = {attempt.id for attempt in held}
        return [job for finding in ("undone", "gone") for job in found.get(finding, []) if job in here]

    async def _note(self, before: Server, server: Server, witnesses: Iterable[Witness]) -> None:
        await self._run(
            "note_failover",
            {
                "system": server.system,
                "timeline": server.timeline,
                "old_system": before.system,
                "old_timeline": before.timeline,
                "lsns": [seen.lsn for seen in witnesses if seen.lsn is not None],
                "times": [seen.at for seen in witnesses if seen.lsn is not None],
            },
        )

    async def _settle_again(self) -> int:
        """Send what was acknowledged lately once more; how many of these ends had been forgotten."""
        mended = 0
        for plain, others in self._outbox.recent.chunks():
            settle = claims.batch_params(batch_of(plain, others))
            reply = claims.read(await self._run("step", self._step_params(NO_TOKEN, claims.NO_CLAIM, settle)))
            mended += len(plain) + len(others) - len(reply.stale)
        return mended

    def _params(self, held: Sequence[Attempt]) -> dict[str, Any]:
        """What this worker knows. Of outcomes not sent yet it does not know any more when their jobs were created."""
        known = [(attempt.id, attempt.token, attempt.row[CREATED_AT]) for attempt in held]
        known += [(job, token, None) for job, token in self._outbox.unsent()]
        ended = self._outbox.recent.ended()
        for job, _, _ in known:
            ended.pop(job, None)  # it runs again since then
        return {
            "ids": [job for job, _, _ in known],
            "tokens": [token for _, token, _ in known],
            "created": [created for _, _, created in known],
            "ended_ids": list(ended),
            "ended_at": list(ended.values()),
        }


def _say(found: dict[str, list[int]], again: int, *, before: Server, server: Server, replaced: bool) -> None:
    extra = {finding: len(jobs) for finding, jobs in found.items()} | ({"settled_again": again} if again else {})
    if replaced:
        log.warning(
            "another server answers: a failover, or a restore; `pgq doctor` tells what it lost",
            extra={"timeline": server.timeline, "old_timeline": before.timeline, **extra},
        )
    elif extra:
        log.warning("the server was restarted and has forgotten what it had acknowledged", extra=extra)
    else:
        log.info("the server was restarted", extra={"since": server.started_at})
    if gone := found.get("gone"):
        log.error("jobs that this worker ran are gone from the database", extra={"jobs": gone[:SHOWN]})
