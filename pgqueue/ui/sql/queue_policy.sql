-- How a queue deals its jobs out, and how many it may hold.
select coalesce(p.fair, false) as fair, p.aging, q.max_depth, pp.paused_at,
       (select jsonb_object_agg(w.key, w.weight) from (select f.key, f.weight from pgqueue.fair_weights f where f.queue = %(queue)s::text order by f.weight desc, f.key limit 50) w) as weights
from (select) x
left join pgqueue.queue_policies p on p.queue = %(queue)s::text
left join pgqueue.queue_quotas q on q.queue = %(queue)s::text
left join pgqueue.paused_queues pp on pp.queue = %(queue)s::text
