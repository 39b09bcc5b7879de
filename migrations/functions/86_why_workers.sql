-- The row of `why` for a job that no living worker can take: nobody serves its queue, or nobody who does has registered its task; or, if
-- `full` is asked for, those who could have no place free. Living is who has beaten within its lease. Reads the table of workers, one row a process.
create function pgqueue.why_workers(queue text, task text, full_too boolean, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _alive record;
  _like text;
begin
  select count(*) as workers, count(*) filter (where serves) as serving, count(*) filter (where serves and knows) as able,
         bool_or(free) filter (where serves and knows) as free, sum(running) filter (where serves and knows) as running, sum(concurrency) filter (where serves and knows) as places
  into _alive
  from (select why_workers.queue = any (w.queues) as serves, why_workers.task = any (w.tasks) as knows, w.running < w.concurrency as free, w.running, w.concurrency
        from pgqueue.worker_processes w where w.lost_at is null and w.heartbeat_at + w.lease >= at) w;
  if _alive.serving = 0 then
    return query select 'no_worker', format('%s: start one with `pgq work APP -q %s`',
      case _alive.workers when 0 then 'no worker is alive' when 1 then format('the one living worker does not serve queue %L', queue)
                          else format('none of the %s living workers serves queue %L', _alive.workers, queue) end, queue);
  elsif _alive.able = 0 then
    select string_agg(quote_literal(n.task), ', ' order by n.task) into _like
    from (select distinct t.task from pgqueue.worker_processes w, unnest(w.tasks) as t (task)
          where w.lost_at is null and w.heartbeat_at + w.lease >= at and why_workers.queue = any (w.queues)
            and lower(substring(t.task from '[^.]*$')) = lower(substring(why_workers.task from '[^.]*$'))
          order by t.task limit 5) n;
    return query select 'unknown_task', format('%s registered task %L%s: deploy the code that has it, or correct the name where the job is enqueued',
      case _alive.serving when 1 then format('the one living worker of queue %L has not', queue) else format('none of the %s living workers of queue %L has', _alive.serving, queue) end,
      task, coalesce('; known there and alike: ' || _like, ''));
  elsif full_too and not _alive.free then
    return query select 'workers_full', format('all workers that could run it are full: %s of %s places taken in %s process%s, by their last heartbeats; more processes or a higher concurrency add places',
                                              _alive.running, _alive.places, _alive.able, case _alive.able when 1 then '' else 'es' end);
  end if;
end $$;
