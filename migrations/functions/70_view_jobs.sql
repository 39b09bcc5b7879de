-- Every job, unfinished and finished alike, one row each, until retention drops it. To page through millions, query the physical tables.
-- A suspect was there when a worker died: it runs alone, and waits until some worker has nothing else or a process of its own.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create view pgqueue.jobs as
select j.id, j.task, j.queue,
       case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end as state,
       j.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.args end as args, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.meta end as meta, j.key, a.gates ->> 'group' as group_key, j.attempt, j.max_attempts, nullif(j.run_at, 'infinity') as run_at, j.created_at, j.started_at,
       null::timestamptz as finished_at, j.worker_id, p.fraction as progress, null::jsonb as result,
       case when (j.failures > 0 or j.losses > 0 or j.suspect) and (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then
         (select t.error from pgqueue.job_attempts t where t.job_id = j.id and t.error is not null order by t.attempt desc limit 1)
       end as error,
       p.note as progress_note, j.failures, j.losses, j.expires_at, j.timeout, j.suspect
from pgqueue.queued_jobs j
left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
left join pgqueue.job_progress p on p.job_id = j.id and (j.token is null or p.token = j.token)
union all
select f.id, f.task, f.queue, case when f.succeeded then 'succeeded' else 'cancelled' end,
       f.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.args end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.meta end, f.key, a.gates ->> 'group', f.attempt, f.max_attempts, f.run_at, f.created_at, f.started_at,
       f.finished_at, f.worker_id, case when f.succeeded then 1 end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then f.result end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then f.error end,
       null, f.failures, f.losses, null, f.timeout, f.suspect
from pgqueue.finished_jobs f
left join pgqueue.job_args a on a.id = f.id and a.day = f.args_day
union all
select d.id, d.task, d.queue, 'dead',
       d.priority, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.args end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then a.meta end, d.key, a.gates ->> 'group', d.attempt, d.max_attempts, d.run_at, d.created_at, d.started_at,
       d.died_at, d.worker_id, null, null, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then d.error end,
       null, d.failures, d.losses, null, d.timeout, d.suspect
from pgqueue.dead_jobs d
left join pgqueue.job_args a on a.id = d.id and a.day = d.args_day;
