-- Sets the weight of a key; returns whether that is news.
select pgqueue.set_share(%(queue)s::text, %(key)s::text, %(weight)s::integer) as changed
