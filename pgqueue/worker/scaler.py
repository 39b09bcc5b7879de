"""Scales a fleet: puts together what its processes tell (pulse.py) and what the database says (sampler.py), asks the
controller (pgqueue.scaling), and says which processes to let go. Starting and ending them is the fleet's.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pgqueue.scaling import Controller, Policy, Sample
from pgqueue.worker.pulse import Beat, last_beat
from pgqueue.worker.sampler import Reading, Sampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pgqueue.worker.child_process import ChildProcess
    from pgqueue.worker.options import WorkerOptions

log = logging.getLogger(__name__)

DRAIN_PART = (
    0.5  # of the shutdown timeout: jobs that take longer on average are not interrupted for the sake of shrinking
)


def regular(children: Sequence[ChildProcess]) -> list[ChildProcess]:
    """Those that count: not for suspects, not told to end, and of two that take turns only the old one."""
    return [
        child
        for child in children
        if not (child.only_suspects or child.dismissed) and (child.replaces is None or child.replaces not in children)
    ]


class Scaler:
    """Says how many processes a fleet should have."""

    def __init__(self, policy: Policy, options: WorkerOptions, *, dsn: str, schema: str, processes: int) -> None:
        self._controller = Controller(policy, wanted=processes)
        self._sampler = Sampler(dsn, schema, list(options.queues))
        self._options = options
        self._beats: dict[int, Beat] = {}
        self._counted: dict[int, Beat] = {}  # what was in the last sample
        self._service: float | None = None

    @property
    def wanted(self) -> int:
        """How many there should be."""
        return self._controller.wanted

    def open(self) -> None:
        """Begin to look at the database, as soon as there is a process."""
        self._sampler.start()

    def close(self) -> None:
        """Look no more."""
        self._sampler.close()

    def heard(self, child: ChildProcess, events: bytes) -> None:
        """Take note of what a process said."""
        beat = last_beat(events)
        if beat is not None:
            self._beats[child.pid] = beat

    def look(self, children: Sequence[ChildProcess]) -> None:
        """Decide anew when the database has said something new."""
        self._sampler.pids = [child.pid for child in children if child.ready]
        reading = self._sampler.take()
        if reading is None:
            return
        before = self.wanted
        decision = self._controller.decide(self._sample(reading, children))
        if decision.wanted != before:
            log.info(
                "the number of worker processes changes",
                extra={"before": before, "processes": decision.wanted, "why": decision.reason},
            )
        else:
            log.debug("the number of worker processes stays", extra={"processes": before, "why": decision.reason})

    def spare(self, children: Sequence[ChildProcess], count: int) -> list[ChildProcess]:
        """Choose those to let go: idle ones first, and only idle ones where jobs would be interrupted."""
        leaving = [child.replaces for child in children]
        held = {child: self._beats.get(child.pid, Beat()).held for child in children if child not in leaving}
        order = sorted(held, key=lambda child: (child.ready, held[child], -child.started_at))
        lasting = (self._service or 0.0) > DRAIN_PART * self._options.shutdown_timeout_seconds
        return [child for child in order if not (lasting and held[child])][: max(count, 0)]

    def _sample(self, reading: Reading, children: Sequence[ChildProcess]) -> Sample:
        ready = [child for child in children if child.ready and child.pid in self._beats]
        news = [_since(self._counted.get(child.pid, Beat()), self._beats[child.pid]) for child in ready]
        self._beats = {child.pid: self._beats[child.pid] for child in ready}
        self._counted = dict(self._beats)
        ended = sum(beat.ended for beat in news)
        run_seconds = sum(beat.run_ms for beat in news) / 1000
        if ended:
            self._service = run_seconds / ended
        return Sample(
            at=reading.at,
            ready=reading.ready,
            lag=reading.lag,
            processes=len(ready),
            starting=len(children) - len(ready),
            held=sum(beat.held for beat in news),
            ended=ended,
            run_seconds=run_seconds,
            busy=sum(beat.full for beat in news) / max(sum(beat.ticks for beat in news), 1),
            share=reading.slots / (reading.slots + reading.other_slots),
            estimated=reading.estimated,
        )


def _since(before: Beat, now: Beat) -> Beat:
    return Beat(
        ended=now.ended - before.ended,
        run_ms=now.run_ms - before.run_ms,
        held=now.held,
        ticks=now.ticks - before.ticks,
        full=now.full - before.full,
    )
