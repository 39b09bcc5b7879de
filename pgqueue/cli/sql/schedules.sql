-- Every schedule.
select s.name, s.task, s.cron, s.timezone, s.paused, s.last_at, s.next_at, s.every, s.jitter, s.missed, s.missed_limit, s.overlap, s.queue,
       s.priority, s.args, s.meta, s.last_job_id, s.in_code, s.error
from pgqueue.schedules s
order by s.name
