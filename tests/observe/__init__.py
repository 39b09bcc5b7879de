"""Tests of what looks at a queue from outside."""
