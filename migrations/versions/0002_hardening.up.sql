-- Written by freeze.py: change the parts and freeze again, until it is released.
-- Revision 0002: only what the workers of 0.1.0 can live with (new tables, columns with defaults, nothing taken away).

-- end of functions/
