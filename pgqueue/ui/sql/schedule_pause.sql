-- Stops the ticks of a schedule; whether that was news.
select pgqueue.pause_schedule(%(name)s::text) as changed
