-- A page of flows in the order of ids, down from `at` (with `up`: up from it), each with its jobs counted by what became of them, as the view
-- does, over the first `count_to` of its nodes: `more` says that there are further ones. With a state or a name, `window` flows are looked at; ended says so.
select w.id, w.kind, w.name, w.created_at, w.state, w.total, w.succeeded, w.failed, w.cancelled, w.running, w.waiting, w.more, w.fits as hit, w.n = %(window)s::integer as ended
from (
  select f.n, f.id, f.kind, f.name, f.created_at, c.total, c.succeeded, c.failed, c.cancelled, c.running, c.unfinished - c.running as waiting, c.more, s.state,
         (%(state)s::text is null or s.state = %(state)s::text) and (%(name)s::text is null or f.name = %(name)s::text) as fits
  from (
    (select x.id, x.kind, x.name, x.created_at, x.cancelled_at, row_number() over (order by x.id desc) as n from pgqueue.job_flows x
     where not %(up)s::boolean and x.id < %(at)s::bigint order by x.id desc limit %(window)s::integer)
    union all
    (select x.id, x.kind, x.name, x.created_at, x.cancelled_at, row_number() over (order by x.id) as n from pgqueue.job_flows x
     where %(up)s::boolean and x.id > %(at)s::bigint order by x.id limit %(window)s::integer)
  ) f
  cross join lateral (
    select count(*) filter (where n.is_job) as total, count(*) filter (where n.outcome = 'succeeded' and n.is_job) as succeeded,
           count(*) filter (where n.outcome = 'dead' and n.is_job) as failed, count(*) filter (where n.outcome = 'cancelled' and n.is_job) as cancelled,
           count(*) filter (where n.outcome is null and n.is_job) as unfinished, count(*) filter (where n.outcome is null and n.blocked and n.is_job) as stuck,
           count(*) filter (where n.outcome is null and not n.blocked and n.is_job
                            and exists (select from pgqueue.queued_jobs j where j.id = n.id and j.worker_id is not null)) as running,
           count(*) = %(count_to)s::integer as more
    from (select y.id, y.outcome, y.blocked, y.is_job from pgqueue.flow_nodes y where y.flow_id = f.id order by y.place limit %(count_to)s::integer) n
  ) c
  cross join lateral (
    select case when c.unfinished > 0 then case when c.failed + c.cancelled > 0 and c.unfinished = c.stuck and not c.more then 'failed' else 'running' end
                when c.more then 'running' when f.cancelled_at is not null then 'cancelled'
                when c.failed + c.cancelled > 0 then 'failed' else 'succeeded' end as state
  ) s
) w
where w.fits or w.n = %(window)s::integer
limit %(most)s::integer
