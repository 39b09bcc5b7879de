-- One flow; its jobs counted by what became of them, over the first `count_to` of its nodes (more: there are further ones).
select f.id, f.kind, f.name, f.created_at, f.cancelled_at, c.total, c.succeeded, c.failed, c.cancelled, c.skipped, c.unfinished, c.stuck, c.ended_at, c.more
from pgqueue.job_flows f
cross join lateral (
  select count(*) filter (where n.is_job) as total, count(*) filter (where n.outcome = 'succeeded' and n.is_job) as succeeded,
         count(*) filter (where n.outcome = 'dead' and n.is_job) as failed, count(*) filter (where n.outcome = 'cancelled' and n.is_job) as cancelled,
         count(*) filter (where n.outcome = 'skipped' and n.is_job) as skipped, count(*) filter (where n.outcome is null and n.is_job) as unfinished,
         count(*) filter (where n.outcome is null and n.is_job and n.blocked) as stuck, max(n.ended_at) as ended_at,
         count(*) = %(count_to)s::integer as more
  from (select y.id, y.outcome, y.is_job, y.blocked, y.ended_at from pgqueue.flow_nodes y where y.flow_id = f.id order by y.place limit %(count_to)s::integer) n
) c
where f.id = %(id)s::bigint
