-- Every schedule. next_at is null while it is paused, for a second after it was made, and while `error` says why it cannot tick.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create view pgqueue.schedules as
select s.name, s.task, s.cron, s.timezone, s.paused_at is not null as paused, s.last_at, s.next_at,
       s.every, s.jitter, s.missed, s.missed_limit, s.overlap, s.queue, s.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then s.args end as args, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then s.meta end as meta, s.limits, s.last_job_id,
       s.declared is not null as in_code, s.error
from pgqueue.job_schedules s;
