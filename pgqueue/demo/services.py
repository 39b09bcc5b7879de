"""The App of all chapters but the first, for `pgq work pgqueue.demo.services:app`; importing them registers tasks."""

from pgqueue.demo import api, nights
from pgqueue.demo.company import app

__all__ = ["api", "app", "nights"]
