# ruff: noqa: E501 - SQL and names of tests are told on one line
"""What the SQL promises, held by invariant: every test's name begins with the invariants it keeps (DESIGN, I1 to I16)."""
