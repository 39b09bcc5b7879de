-- Steps that jobs have stored (ctx.step), with the attempt that ran each.
create view pgqueue.steps as
select s.job_id, s.name, s.attempt, s.stored_at, s.result
from pgqueue.job_steps s;
