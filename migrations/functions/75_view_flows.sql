-- Every flow, until retention drops it, with its jobs counted by what became of them (barriers are no jobs). Counted when asked, from the
-- flow's own nodes, so that no completion pays for it. A flow that cannot go on by itself, because what is left waits for an
-- operator's retry, has failed too.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create view pgqueue.flows as
select f.id, f.kind, f.name, f.created_at,
       case when c.unfinished > 0 then case when c.failed + c.cancelled > 0 and c.unfinished = c.stuck then 'failed' else 'running' end
            when f.cancelled_at is not null then 'cancelled'
            when c.failed + c.cancelled > 0 then 'failed' else 'succeeded' end as state,
       c.total, c.succeeded, c.failed, c.cancelled, c.running, c.unfinished - c.running as waiting, c.skipped, f.cancelled_at,
       case when c.unfinished = 0 then c.ended_at end as finished_at
from pgqueue.job_flows f,
lateral (
  select count(*) as total, count(*) filter (where n.outcome = 'succeeded') as succeeded, count(*) filter (where n.outcome = 'dead') as failed,
         count(*) filter (where n.outcome = 'cancelled') as cancelled, count(*) filter (where n.outcome = 'skipped') as skipped,
         count(*) filter (where n.outcome is null) as unfinished, count(*) filter (where n.outcome is null and n.blocked) as stuck,
         count(*) filter (where n.outcome is null and not n.blocked
                          and exists (select from pgqueue.queued_jobs j where j.id = n.id and j.worker_id is not null)) as running,
         max(n.ended_at) as ended_at
  from pgqueue.flow_nodes n where n.flow_id = f.id and n.is_job
) c;

-- Every node of a flow, jobs and barriers (without a task), in the order in which they were given; `after` are the nodes it waits for.
create view pgqueue.flow_jobs as
select n.flow_id, n.id, n.name, n.role, n.task,
       coalesce(n.outcome, case when n.blocked then 'blocked' end,
                (select case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked'
                             when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end
                 from pgqueue.queued_jobs j where j.id = n.id)) as state,
       array(select l.parent_id from pgqueue.flow_links l where l.child_id = n.id order by l.place, l.parent_id) as after,
       n.ended_at, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then n.result end as result
from pgqueue.flow_nodes n
where n.flow_id is not null;
