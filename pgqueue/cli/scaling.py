"""What `pgq work` and `pgq autoscale` make of their options for scaling."""

from __future__ import annotations

from pgqueue.errors import InvalidArgument
from pgqueue.scaling import Policy


def fleet_policy(
    *,
    processes: int | None,
    least: int | None,
    most: int | None,
    slots: int,
    target_lag: float,
    shrink_after: float,
    burst: bool,
) -> tuple[int, Policy | None]:
    """Return how many processes to start with, and how to scale; None: not at all. Raises InvalidArgument."""
    if processes is not None and processes < 1:
        raise InvalidArgument(f"processes: must be at least 1, got {processes}")
    if least is None and most is None:
        return processes or 1, None
    if most is None:
        raise InvalidArgument(f"min-processes: {least} needs --max-processes, up to which the fleet may grow")
    if burst:
        raise InvalidArgument(
            "burst: does not go with --max-processes; give --processes N, as many as the burst may have"
        )
    least = 1 if least is None else least
    if least < 1:
        raise InvalidArgument(f"min-processes: must be at least 1, got {least}")
    if most < least:
        raise InvalidArgument(f"max-processes: must be at least {least} (--min-processes), got {most}")
    start = least if processes is None else processes
    if not least <= start <= most:
        raise InvalidArgument(
            f"processes: {start} is how many to start with, and must be from {least} to {most} "
            "(--min-processes and --max-processes)"
        )
    policy = Policy(least=least, most=most, slots=slots, target_lag=target_lag, shrink_after=shrink_after)
    return start, policy
