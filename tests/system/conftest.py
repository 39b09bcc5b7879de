"""Fixtures of the system tests: fleets of worker processes."""

from tests.support.fixtures import ledger, the, work

__all__ = ["ledger", "the", "work"]
