-- What the handlers of ended attempts logged, as far as that was captured: `lines` is an array, oldest first, of objects {at, level, logger,
-- message} with perhaps fields, exception and cut, and one {left_out} where lines were left out. Masked by the worker that wrote them.
-- Contents are null for who may not read job_args: that grant is the right to see them, in every view. It is asked once a query.
create view pgqueue.attempt_logs as
select l.job_id, l.attempt, l.logged_at, case when (select has_table_privilege('pgqueue.job_args'::regclass, 'SELECT')) then l.lines end as lines
from pgqueue.attempt_lines l;
