"""What tests share: faults on a wire, and waiting without sleeping longer than needed."""

from tests.support.faultproxy import FaultProxy
from tests.support.waiting import wait_until, wait_until_async

__all__ = ["FaultProxy", "wait_until", "wait_until_async"]
