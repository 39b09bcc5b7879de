-- Deletes a finished or dead job with all that belongs to it; the state that it was in.
select pgqueue.remove(%(id)s::bigint) as state
