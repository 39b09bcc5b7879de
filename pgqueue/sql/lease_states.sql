-- Which of these attempts, all of which said complete, still have their job.
select id, state from pgqueue.lease_states(%(ids)s::bigint[], %(tokens)s::bigint[])
