-- Every attempt that came to an end, with its outcome; those that ended their job are told by its history row.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create view pgqueue.attempts as
select t.job_id, t.attempt, t.worker_id, t.started_at, t.finished_at, t.outcome, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then t.error end as error
from pgqueue.job_attempts t
union all
select f.id, f.attempt, f.worker_id, f.started_at, f.finished_at, case when f.succeeded then 'succeeded' else 'cancelled' end, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then f.error end
from pgqueue.finished_jobs f
where f.worker_id is not null
union all
select d.id, e.attempt, e.worker_id, e.started_at, e.finished_at, e.outcome, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then e.error end
from pgqueue.dead_jobs d,
     jsonb_to_recordset(d.attempts) as e (attempt integer, worker_id bigint, started_at timestamptz, finished_at timestamptz, outcome text, error jsonb);
