"""A durable job queue in PostgreSQL."""

from pgqueue.backoff import Backoff, Exponential, Fixed, RetryPolicy, Steps

__all__ = ["Backoff", "Exponential", "Fixed", "RetryPolicy", "Steps"]
