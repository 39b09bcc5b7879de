"""Looks at a queue from outside: what is wrong with it or will be, and what to do about it. Changes nothing."""
