"""Every order in which two or three sessions can take their steps, on real connections, and what must hold after each.

`runner` walks the orders, `moves` are what sessions do, `worlds` where they do it, `play` puts these together,
`invariants.sql` is what must hold, and `mutants` are engines with one thing broken, which the orders have to catch.
"""
