-- A page of flows, newest first.
select f.id, f.kind, f.name, f.state, f.total, f.succeeded, f.failed, f.cancelled, f.skipped, f.running, f.waiting, f.created_at, f.finished_at
from pgqueue.flows f
where (%(state)s::text is null or f.state = %(state)s::text) and (%(before)s::bigint is null or f.id < %(before)s::bigint)
order by f.id desc
limit %(limit)s::integer
