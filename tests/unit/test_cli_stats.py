"""Percentiles from a histogram whose last bucket is open."""

import pytest

from pgqueue.cli.stats import percentile

BOUNDS = (0.1, 1.0, 10.0)


@pytest.mark.parametrize(
    ("percent", "counts", "expected"),
    [
        (50, [], None),
        (50, [0, 0, 0, 0], None),
        (50, [10, 0, 0, 0], 0.05),
        (100, [10, 0, 0, 0], 0.1),
        (50, [0, 4, 0, 0], 0.55),
        (75, [2, 0, 2, 0], 5.5),
        (99, [1, 0, 0, 99], 10.0),
    ],
)
def test_a_percentile_is_interpolated_within_its_bucket(
    percent: float, counts: list[int], expected: float | None
) -> None:
    found = percentile(percent, BOUNDS, counts)

    assert found == (expected if expected is None else pytest.approx(expected))
