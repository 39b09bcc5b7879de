"""Tests of one worker process, run in a thread of the test."""
