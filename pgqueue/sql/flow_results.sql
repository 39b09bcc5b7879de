-- What came of the jobs of a flow, in their order.
select n.id, n.task, n.outcome, n.result from pgqueue.flow_nodes n where n.flow_id = %(id)s::bigint and n.is_job order by n.place
