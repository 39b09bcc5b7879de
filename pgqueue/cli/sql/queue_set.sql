-- Says how a queue deals its jobs out; returns whether that is news.
select pgqueue.set_queue(%(queue)s::text, fair => %(fair)s::boolean, aging => %(aging)s::interval, max_depth => %(max_depth)s::bigint) as changed
