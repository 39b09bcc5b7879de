-- The steps that a job has stored, as JSON text; raises PQ005.
select step, result::text from pgqueue.stored_steps(%(id)s::bigint, %(token)s::bigint, %(name)s::text)
