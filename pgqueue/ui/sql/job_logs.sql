-- What the handlers of a job's ended attempts logged, the last `most` attempts: lines as an array of objects, oldest first.
select l.attempt, l.lines
from pgqueue.attempt_logs l
where l.job_id = %(id)s::bigint
order by l.attempt desc
limit %(most)s::integer
