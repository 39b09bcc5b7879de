-- What the handlers of one job logged, oldest attempt first.
select l.attempt, l.lines
from pgqueue.attempt_logs l
where l.job_id = %(id)s::bigint
order by l.attempt, l.logged_at
