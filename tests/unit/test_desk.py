"""The desk of a fleet: whatever its processes say, or leave unsaid."""

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from pgqueue.events import AttemptEnded
from pgqueue.worker.desk import Desk
from pgqueue.worker.ports import Ports
from pgqueue.worker.tally import Tally
from pgqueue.worker.vitals import Vitals
from tests.support.waiting import wait_until


@dataclass
class Child:
    """What the desk wants to know of a process, and the end of its pipe."""

    report_fd: int = -1
    pid: int = 1
    ready: bool = True
    only_suspects: bool = False
    started_at: float = field(default_factory=time.monotonic)
    end: int = -1

    def silent_for(self, now: float) -> float:
        return 0.0

    def say(self, said: bytes) -> None:
        os.write(self.end, said)


Admit = Callable[[], Child]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk(Ports(), 15.0)
    made.open()
    yield made
    made.close()


@pytest.fixture
def admit(desk: Desk) -> Iterator[Admit]:
    children: list[Child] = []

    def make() -> Child:
        child = Child()
        child.report_fd, child.end = os.pipe()
        children.append(child)
        desk.admit(child)  # type: ignore[arg-type]
        return child

    yield make
    for child in children:
        if child.end >= 0:
            os.close(child.end)


def leave(child: Child) -> None:
    os.close(child.end)
    child.end = -1


def report(succeeded: int, **vitals: Any) -> bytes:
    tally = Tally()
    for _ in range(succeeded):
        tally(AttemptEnded(1, "t", "q", 1, "succeeded", 0.1, 0.1, None))
    return json.dumps({"vitals": asdict(Vitals(**vitals)), "tally": tally.snapshot()}).encode() + b"\n"


def succeeded(desk: Desk) -> int:
    return desk.sum().outcomes["q", "t", "succeeded"]


def test_the_last_report_of_each_counts_and_those_of_the_departed_stay(desk: Desk, admit: Admit) -> None:
    one, two = admit(), admit()
    one.say(report(2) + report(5))
    two.say(report(3))
    wait_until(lambda: succeeded(desk) == 8)

    leave(one)

    wait_until(lambda: len(desk.states()) == 1)
    assert succeeded(desk) == 8
    three = admit()
    assert [state.place for state in desk.states()] == [1, 0]
    three.say(report(1))
    wait_until(lambda: succeeded(desk) == 9)


def test_a_report_counts_when_it_is_whole(desk: Desk, admit: Admit) -> None:
    child, said = admit(), report(4, slots=7)
    child.say(report(1) + said[:20])
    wait_until(lambda: succeeded(desk) == 1)

    child.say(said[20:])

    wait_until(lambda: succeeded(desk) == 4)
    assert desk.states()[0].vitals is not None
    assert desk.states()[0].vitals.slots == 7


@pytest.mark.parametrize(
    "strange",
    [
        b"\xff\x00 no report\n",
        b"[]\n",
        b'{"vitals": {}, "tally": {}}\n',
        report(9).replace(b'"trips": [[0, ', b'"trips": [[', 1),
    ],
)
def test_what_is_no_report_changes_nothing(desk: Desk, admit: Admit, strange: bytes) -> None:
    child = admit()
    child.say(report(2))
    wait_until(lambda: succeeded(desk) == 2)

    child.say(strange)
    leave(child)

    wait_until(lambda: not desk.states())
    assert succeeded(desk) == 2


def test_a_process_of_a_newer_version_may_say_more(desk: Desk, admit: Admit) -> None:
    said = json.loads(report(3, used=2))
    said["vitals"]["mood"] = said["tally"]["mood"] = said["mood"] = "good"

    admit().say(json.dumps(said).encode() + b"\n")

    wait_until(lambda: succeeded(desk) == 3)
    assert desk.states()[0].vitals is not None
    assert desk.states()[0].vitals.used == 2
