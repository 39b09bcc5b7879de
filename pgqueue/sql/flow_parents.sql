-- What a job waited for, and what came of it.
select id, name, task, outcome, result from pgqueue.flow_parents(%(id)s::bigint)
