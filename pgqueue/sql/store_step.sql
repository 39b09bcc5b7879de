-- Stores a step's result unless it is stored; returns what is, as JSON text. Raises PQ005 and PQ004.
select pgqueue.store_step(%(id)s::bigint, %(token)s::bigint, %(name)s::text, %(result)s::jsonb)::text
