"""What probes of a fleet are told: whether its processes are alive, and whether they are ready. I/O-free.

alive   its loop turns and its lease is held; or it is still starting. The supervisor replaces a single process that is
        not, so `/livez` fails when none is alive: only then a restart of the whole helps.
ready   alive, registered, connected and claiming. `/readyz` fails when no process is: while they start, drain or are
        quiet, and while the database is away.

`/healthz` fails when any process is not alive and ready. `?exclude=lease` leaves the lease out of what alive means: for
those who do not want to be restarted because their database is away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgqueue.webserver import Answer, text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pgqueue.worker.vitals import Vitals

PATHS = ("/livez", "/readyz", "/healthz")
START_SECONDS = 60.0  # as long as the supervisor gives a process to become ready
TURN_SHARE = 1 / 3  # of the lease: a loop that has not turned for so long stands still. A heartbeat is due by then


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How one process is. `spare`: it only runs what has to run alone, and comes and goes."""

    place: int
    pid: int
    spare: bool
    starting: bool
    loop_turns: bool
    lease_held: bool
    connected: bool
    accepting: bool
    silent_seconds: float
    lease_seconds: float  # until the lease ends; at most 0: it is not held
    heartbeat_seconds: float | None  # since the last recorded heartbeat; None: there was none
    vitals: Vitals | None

    def alive(self, excluded: Collection[str] = ()) -> bool:
        """Whether it needs no restart."""
        return self.starting or (self.loop_turns and (self.lease_held or "lease" in excluded))

    def ready(self, excluded: Collection[str] = ()) -> bool:
        """Whether it takes jobs."""
        return not self.starting and self.alive(excluded) and self.connected and self.accepting

    def shown(self) -> str:
        """A line about it."""
        if self.starting:
            return f"process {self.place} (pid {self.pid}): starting"
        loop = "loop turns" if self.loop_turns else f"LOOP STANDS STILL for {self.silent_seconds:.1f} s"
        lease = "lease held" if self.lease_held else "LEASE NOT HELD"
        database = "connected" if self.connected else "NOT CONNECTED"
        claims = "claims" if self.accepting else "claims nothing"
        return f"process {self.place} (pid {self.pid}): {loop}, {lease}, {database}, {claims}"


def judge(
    vitals: Vitals | None,
    now: float,
    lease_seconds: float,
    *,
    pid: int,
    place: int,
    age: float,
    silent_for: float,
    ready: bool,
    spare: bool,
) -> State:
    """Judge a process by its last report. `silent_for`: since its loop said last that it turns; `ready`: it has said
    that it is registered.
    """
    until = vitals.lease_until if vitals is not None else None
    return State(
        place=place,
        pid=pid,
        spare=spare,
        starting=age < START_SECONDS and (vitals is None or not ready),
        loop_turns=silent_for < max(1.0, TURN_SHARE * lease_seconds),
        lease_held=until is not None and until > now,
        connected=vitals is not None and vitals.connected,
        accepting=vitals is not None and vitals.accepting,
        silent_seconds=silent_for,
        lease_seconds=max(0.0, until - now) if until is not None else 0.0,
        heartbeat_seconds=now - (until - lease_seconds) if until is not None else None,
        vitals=vitals,
    )


def answer(path: str, states: Sequence[State], *, excluded: Collection[str] = ()) -> Answer:
    """Answer a probe: 200 or 503, and a line about each process."""
    regular = [state for state in states if not state.spare]
    match path:
        case "/livez":
            good = any(state.alive(excluded) for state in regular)
        case "/readyz":
            good = any(state.ready(excluded) for state in regular)
        case _:
            good = bool(regular) and all(state.ready(excluded) for state in regular)
    lines = ["ok" if good else "not ok", *(state.shown() for state in sorted(states, key=lambda state: state.place))]
    return text(200 if good else 503, "\n".join(lines))
