-- A page of unfinished jobs, newest first. The key is found through job_keys, the queue through the claim indexes, which
-- are partial and cover all rows together.
select j.id, j.task, j.queue,
       case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end as state,
       j.priority, j.key, j.attempt, j.max_attempts, nullif(j.run_at, 'infinity') as run_at, j.created_at, j.started_at, null::timestamptz as finished_at, j.worker_id,
       case when j.failures > 0 or j.losses > 0 or j.suspect then
         (select t.error from pgqueue.job_attempts t where t.job_id = j.id and t.error is not null order by t.attempt desc limit 1)
       end as error
from pgqueue.queued_jobs j
where (%(before)s::bigint is null or j.id < %(before)s::bigint)
  and (%(queue)s::text is null or j.queue = %(queue)s::text and (j.suspect or not j.suspect))
  and (%(task)s::text is null or j.task = %(task)s::text)
  and (%(key)s::text is null or j.key = %(key)s::text and j.id = any (array(
        select k.job_id from pgqueue.job_keys k where k.key = %(key)s::text and (%(queue)s::text is null or k.queue = %(queue)s::text))))
  and (%(running)s::boolean is null or (j.worker_id is not null) = %(running)s::boolean)
  and (%(due)s::boolean is null or (j.run_at <= clock_timestamp()) = %(due)s::boolean)
  and (%(blocked)s::boolean is null or (j.run_at = 'infinity') = %(blocked)s::boolean)
order by j.id desc
limit %(limit)s::integer
