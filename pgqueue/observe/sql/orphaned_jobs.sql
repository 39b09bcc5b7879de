-- Jobs that run for a worker that is not there, or whose jobs were all handed on.
select j.id as what from pgqueue.queued_jobs j tablesample system (%(share)s::real)
where j.worker_id is not null
  and not exists (select from pgqueue.worker_processes w where w.id = j.worker_id and not w.rescued)
limit 20
