"""Migrations that prove themselves."""
