-- Removes a schedule.
select pgqueue.unschedule(%(name)s::text) as removed
