-- Jobs due plus jobs running, of a queue or of all: what an autoscaler divides by. Jobs due later do not count.
create function pgqueue.backlog(queue text default null) returns bigint
language sql stable
return (
  select count(*) from pgqueue.queued_jobs j
  where (backlog.queue is null or j.queue = backlog.queue) and (j.worker_id is not null or j.run_at <= clock_timestamp())
);
