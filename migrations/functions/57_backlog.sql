-- Jobs due plus jobs running, of a queue or of all: what an autoscaler divides by. Jobs due later and parked jobs do not count, and a
-- message group with jobs under way counts once. Groups are in the arguments' table, which only jobs with gates are looked up in: as one join it
-- read all arguments (34 s with 5,000,000 jobs due; a count of the jobs alone takes 1 to 3).
-- With its owner's rights: autoscalers are viewers, who may see the number but not the jobs.
create function pgqueue.backlog(queue text default null) returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
return (
  select (select count(*) from pgqueue.queued_jobs j
          where not j.gated and (backlog.queue is null or j.queue = backlog.queue) and (j.worker_id is not null or j.run_at <= c.at))
         + (select count(distinct coalesce('g' || j.queue || chr(31) || (select a.gates ->> 'group' from pgqueue.job_args a where a.id = j.id and a.day = j.args_day),
                                           j.id::text))
            from pgqueue.queued_jobs j
            where j.gated and (backlog.queue is null or j.queue = backlog.queue) and (j.worker_id is not null or j.run_at <= c.at))
  from (select clock_timestamp() as at offset 0) c
);
