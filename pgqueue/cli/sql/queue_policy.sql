-- How a queue deals its jobs out.
select coalesce(bool_or(p.fair), false) as fair, max(p.aging) as aging,
       (select u.max_depth from pgqueue.queue_quotas u where u.queue = %(queue)s::text) as max_depth
from pgqueue.queue_policies p where p.queue = %(queue)s::text
