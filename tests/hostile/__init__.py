"""Whatever can be said as a value or as a name either works through a job's whole life, unharmed, or is refused."""
