-- Written by freeze.py: change the parts and freeze again, until it is released.

-- Takes back what 0002_hardening.tables.sql added.
