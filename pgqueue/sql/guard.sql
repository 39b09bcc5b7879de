-- Locks an attempt's lease until the transaction ends; raises PQ005.
select pgqueue.guard(%(id)s::bigint, %(token)s::bigint)
