"""The App of all chapters but the first, for `pgq work pgqueue.demo.services:app`; importing them registers tasks."""

from pgqueue.demo import accounts, api, nights, payments, video
from pgqueue.demo.company import app

__all__ = ["accounts", "api", "app", "nights", "payments", "video"]
