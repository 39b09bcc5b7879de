-- A page of the history, newest first; a key without a queue is looked up in each queue that has keys.
with recursive keyed (queue) as (
  (select f.queue from pgqueue.finished_jobs f where f.key is not null and %(key)s::text is not null and %(queue)s::text is null
   order by f.queue limit 1)
  union all
  select (select f.queue from pgqueue.finished_jobs f where f.key is not null and f.queue > k.queue order by f.queue limit 1)
  from keyed k where k.queue is not null
)
select f.id, f.task, f.queue, case when f.succeeded then 'succeeded' else 'cancelled' end as state, f.priority, f.key, f.attempt,
       f.max_attempts, f.run_at, f.created_at, f.started_at, f.finished_at, f.worker_id, f.error
from pgqueue.finished_jobs f
where (%(before)s::bigint is null or f.id < %(before)s::bigint)
  and (%(queue)s::text is null or f.queue = %(queue)s::text)
  and (%(task)s::text is null or f.task = %(task)s::text)
  and (%(key)s::text is null or f.key = %(key)s::text
       and (%(queue)s::text is not null or f.queue = any (array(select k.queue from keyed k where k.queue is not null))))
  and (%(succeeded)s::boolean is null or f.succeeded = %(succeeded)s::boolean)
order by f.id desc
limit %(limit)s::integer
