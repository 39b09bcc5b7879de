"""What a claim brings is run only by a worker that may: it is open, and its lease is not over."""

from types import SimpleNamespace
from typing import Any

import pytest

from pgqueue import App
from pgqueue.worker.attempt import TASK
from pgqueue.worker.intake import Intake


@pytest.mark.parametrize(
    ("remaining", "closed", "fate"),
    [(5.0, False, "submit"), (0.0, False, "hand_back"), (-1.0, False, "hand_back"), (5.0, True, "hand_back")],
)
def test_claimed_jobs_run_while_the_lease_lasts_and_are_handed_back_otherwise(
    remaining: float, closed: bool, fate: str
) -> None:
    app = App("postgresql://nowhere.invalid/x")
    app.task(name="t")(lambda: None)
    seen: list[tuple[str, int]] = []

    def note(what: str) -> Any:
        return lambda attempts: seen.append((what, len(attempts)))

    crew: Any = SimpleNamespace(submit=note("submit"), hand_back=note("hand_back"), on_end=lambda: None)
    link: Any = SimpleNamespace(worker_id=1, lease=SimpleNamespace(remaining=lambda _: remaining))
    intake = Intake(app, crew, link, None)
    if closed:
        intake.close()
    row: list[Any] = [None] * 16
    row[TASK] = "t"

    intake.take("default", [row, row], token=7)

    assert seen == [(fate, 2)]
