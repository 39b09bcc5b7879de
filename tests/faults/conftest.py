"""Fixtures of the fault tests: fleets, what handlers did, what became of jobs, servers to spoil."""

from tests.support.fixtures import ledger, the, work

__all__ = ["ledger", "the", "work"]
