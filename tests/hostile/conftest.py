"""Fixtures of the worker tests: Apps, workers, what became of jobs."""

from tests.worker.conftest import app, start, the

__all__ = ["app", "start", "the"]
