-- Drops steps of jobs that will never run again, a thousand jobs a turn.
select dropped, last from pgqueue.sweep_steps(%(after)s::bigint, 1000)
