-- The jobs and barriers of a flow in their order, those that did not succeed only if asked for.
select j.id, j.name, j.role, j.task, j.state, j.after
from pgqueue.flow_jobs j
join pgqueue.flow_nodes n on n.id = j.id
where j.flow_id = %(id)s::bigint and (%(state)s::text is null or j.state = %(state)s::text)
order by n.place
limit %(limit)s::integer
