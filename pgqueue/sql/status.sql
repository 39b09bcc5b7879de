-- A job's state with what it left behind.
select id, state, attempt, result, error from pgqueue.jobs where id = %(id)s::bigint
