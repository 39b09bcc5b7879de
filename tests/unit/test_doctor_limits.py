"""From where on a check of the doctor is a warning, and from where on a failure."""

from types import SimpleNamespace
from typing import Any

import pytest

from pgqueue.observe import doctor_server


@pytest.mark.parametrize(
    ("used", "status"), [(0.0, "ok"), (0.09, "ok"), (0.1, "warning"), (0.49, "warning"), (0.5, "failure")]
)
def test_a_notification_queue_that_fills_is_a_warning_and_then_a_failure(used: float, status: str) -> None:
    patient: Any = SimpleNamespace(row=lambda _: {"used": used})

    assert str(doctor_server.notifications(patient).status) == status
