"""What the SQL promises, held by invariant: every test's name begins with the invariants it keeps (DESIGN, I1 to I16)."""
