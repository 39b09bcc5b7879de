-- Makes dead jobs ready again, oldest first, all or those of a queue, a task, a list of ids, up to a limit, and returns how many. A job whose key
-- another job holds stays dead and is reported by a warning of its own, and so is one that fails to move; the others move. Raises PQ004.
-- Locks: dead jobs in id order, passing by locked ones, then their keys in the order of (queue, key), as enqueue_many does.
create function pgqueue.redrive(queue text default null, task text default null, "limit" integer default null,
  ids bigint[] default null) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
  _job record;
  _holder bigint;
begin
  if redrive."limit" < 0 then
    raise exception using errcode = 'PQ004', message = format('redrive: limit must not be negative, got %s', redrive."limit");
  end if;
  select coalesce(array_agg(c.id), '{}') into _ids
  from (select d.id from pgqueue.dead_jobs d
        where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
          and (redrive.ids is null or d.id = any (redrive.ids))
          and not exists (select from pgqueue.job_keys k where k.queue = d.queue and k.key = d.key and pgqueue.key_holds(k.job_id, k.until))
        order by d.id
        limit redrive."limit"
        for update of d skip locked) c;
  for _job in
    select d.id, d.queue, d.key from pgqueue.dead_jobs d where d.id = any (_ids) and d.key is not null
    order by d.queue collate "C", d.key collate "C", d.id
  loop
    _holder := pgqueue.hold_key(_job.id, _job.queue, _job.key, null);
    if _holder is not null then
      _ids := array_remove(_ids, _job.id);
    end if;
  end loop;
  begin
    perform pgqueue.requeue_dead(_ids, clock_timestamp());
  exception when others then
    raise warning 'redrive: % (%); going on job by job', sqlerrm, sqlstate;
    _ids := pgqueue.requeue_dead_singly(_ids);
  end;
  for _job in
    select d.id, d.queue, d.key, k.job_id as holder
    from pgqueue.dead_jobs d join pgqueue.job_keys k on k.queue = d.queue and k.key = d.key
    where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
      and (redrive.ids is null or d.id = any (redrive.ids)) and pgqueue.key_holds(k.job_id, k.until)
    order by d.id
    limit 1000
  loop
    raise warning 'job % stays dead: its key "%" of queue "%" is held by job %', _job.id, _job.key, _job.queue, _job.holder;
  end loop;
  return cardinality(_ids);
end $$;
