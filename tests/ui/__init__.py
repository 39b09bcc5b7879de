"""Tests of the dashboard: its doors, its pages, and both in a real browser."""
