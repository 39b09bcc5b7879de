-- The steps that one job has stored, in the order in which they ran, at most `most`.
select s.name, s.attempt, s.stored_at, s.result
from pgqueue.steps s
where s.job_id = %(id)s::bigint
order by s.stored_at, s.name
limit %(most)s::integer
