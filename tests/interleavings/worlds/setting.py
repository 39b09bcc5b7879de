"""What worlds are set up with."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.interleavings import moves
from tests.interleavings.moves import Conn, claim, tx
from tests.interleavings.runner import Script
from tests.interleavings.stage import Stage, note_claim
from tests.sql import engine
from tests.sql.engine import Lease, Worker
from tests.sql.flows import flow_ids

Moves = dict[str, Callable[[int], Script]]
World = Callable[[Stage], Moves]
RULE = "insert into pgqueue.limit_rules (name, rate, per, burst, concurrency) values (%s, %s, '1 h', %s, %s)"


def job(conn: Conn, **options: object) -> int:
    made = engine.enqueue(conn, **options)
    moves.note_made(conn, made, early=True)
    return made


def flow(conn: Conn, *entries: dict[str, object], kind: str = "dag") -> tuple[int, list[int]]:
    found, ids = flow_ids(conn, *entries, kind=kind)
    for node, entry in zip(ids, entries, strict=True):
        if "barrier" not in entry:
            moves.note_made(conn, node, early=True)
    return found, ids


def held(conn: Conn, worker: Worker, count: int = 100) -> dict[int, Lease]:
    """What a worker has claimed before the order begins."""
    leases = {lease.id: lease for lease in worker.claim(count)}
    for lease in leases.values():
        note_claim(conn, worker, lease)
    return leases


@dataclass(slots=True)
class Claimers:
    """Workers that claim in the order, one for each session."""

    workers: list[Worker]

    def script(self, session: int, *, then: str | None = None, **options: object) -> Script:
        worker, found = self.workers[session], list[Lease]()
        script = tx("claim", claim(worker, found, **options))
        if then is None:
            return script
        return [*script, *tx(f"settle it as {then}", moves.settle_found(worker, found, then))]


def link(parent: int) -> moves.Call:
    def call(conn: Conn) -> None:
        (made,) = flow_ids(conn, {"after": [{"id": parent, "when": "ended"}]})[1]
        moves.note_made(conn, made)

    return call
