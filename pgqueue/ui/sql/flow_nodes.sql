-- Nodes of a flow in their order, after `place`, jobs and barriers (without a task), with the nodes that they wait for (the first 200 each).
select n.id, n.place, n.name, n.role, n.task, n.is_job, n.ended_at,
       coalesce(n.outcome, case when n.blocked then 'blocked' end,
                (select case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked'
                             when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end
                 from pgqueue.queued_jobs j where j.id = n.id)) as state,
       array(select l.parent_id from pgqueue.flow_links l where l.child_id = n.id order by l.place, l.parent_id limit 200) as after
from pgqueue.flow_nodes n
where n.flow_id = %(id)s::bigint and n.place > %(place)s::integer
order by n.place
limit %(most)s::integer
