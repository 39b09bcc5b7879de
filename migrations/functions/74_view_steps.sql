-- Steps that jobs have stored (ctx.step), with the attempt that ran each.
-- Contents (args, meta, results, errors) are null for who may not read job_args: that grant is the right to see them, in every view.
-- It is asked once a query, as a plan of its own.
create view pgqueue.steps as
select s.job_id, s.name, s.attempt, s.stored_at, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then s.result end as result
from pgqueue.job_steps s;
