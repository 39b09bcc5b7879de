-- Jobs due plus jobs running, of a queue or of all: what an autoscaler divides by. Jobs due later and parked jobs do not count, and a
-- message group with jobs under way counts once.
create function pgqueue.backlog(queue text default null) returns bigint
language sql stable
return (
  select count(*) filter (where not j.gated)
         + count(distinct coalesce('g' || j.queue || chr(31) || (a.gates ->> 'group'), j.id::text)) filter (where j.gated)
  from pgqueue.queued_jobs j left join pgqueue.job_args a on j.gated and a.id = j.id and a.day = j.args_day
  where (backlog.queue is null or j.queue = backlog.queue) and (j.worker_id is not null or j.run_at <= clock_timestamp())
);
