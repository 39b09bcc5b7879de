-- Cancels a job; returns the state that it found.
select pgqueue.cancel(%(id)s::bigint)
