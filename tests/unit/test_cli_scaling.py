"""How `--processes`, `--min-processes` and `--max-processes` go together."""

from typing import Any

import pytest

from pgqueue.cli.scaling import fleet_policy
from pgqueue.errors import InvalidArgument

GIVEN: dict[str, Any] = {
    "processes": None,
    "least": None,
    "most": None,
    "slots": 100,
    "target_lag": 30.0,
    "shrink_after": 60.0,
    "burst": False,
}


@pytest.mark.parametrize(
    ("given", "start", "bounds"),
    [
        ({}, 1, None),
        ({"processes": 4}, 4, None),
        ({"most": 4}, 1, (1, 4)),
        ({"least": 2, "most": 4}, 2, (2, 4)),
        ({"least": 1, "most": 4, "processes": 3}, 3, (1, 4)),
    ],
)
def test_a_fleet_starts_with_what_is_said(given: dict[str, int], start: int, bounds: tuple[int, int] | None) -> None:
    processes, policy = fleet_policy(**(GIVEN | given))

    assert processes == start
    assert (policy and (policy.least, policy.most)) == bounds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"processes": 0}, "processes: must be at least 1, got 0"),
        ({"least": 2}, "min-processes: 2 needs --max-processes"),
        ({"least": 0, "most": 2}, "min-processes: must be at least 1, got 0"),
        ({"least": 3, "most": 2}, r"max-processes: must be at least 3 \(--min-processes\), got 2"),
        ({"most": 2, "processes": 3}, "processes: 3 is how many to start with, and must be from 1 to 2"),
        ({"most": 2, "burst": True}, "burst: does not go with --max-processes"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        fleet_policy(**(GIVEN | given))
