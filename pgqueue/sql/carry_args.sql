-- Carries the arguments of a day's unfinished and dead jobs forward.
select carried, remaining from pgqueue.carry_args(%(day)s::date)
