-- Settles an attempt as succeeded in the handler's transaction; raises PQ005.
select pgqueue.complete(%(id)s::bigint, %(token)s::bigint, %(result)s::jsonb)
