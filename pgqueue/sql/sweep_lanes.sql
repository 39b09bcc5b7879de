-- Forgets lanes that nobody uses.
select pgqueue.sweep_lanes()
