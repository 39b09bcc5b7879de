-- How far a flow is, and the last of its unfinished jobs: who waits for the flow waits for that one first.
select f.state, f.total, f.succeeded, f.failed, f.cancelled, f.skipped, f.running, f.waiting,
  (select n.id from pgqueue.flow_nodes n where n.flow_id = f.id and n.is_job and n.outcome is null order by n.place desc limit 1)
from pgqueue.flows f where f.id = %(id)s::bigint
