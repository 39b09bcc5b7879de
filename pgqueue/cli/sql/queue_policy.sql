-- How a queue deals its jobs out.
select coalesce(bool_or(p.fair), false) as fair, max(p.aging) as aging from pgqueue.queue_policies p where p.queue = %(queue)s::text
