-- Takes the sample of depths() for this minute, if nobody has, of queues that have something in them or had at the last sample; deletes what is older
-- than 7 days, 20,000 rows of each table at most, oldest first; once an hour also the counters of whole queues (their sums are counters too) that
-- no living worker serves and nothing came to for 30 days. Returns how many queues it noted. For fold_statistics, under its advisory lock.
create function pgqueue.sample_depths(minute timestamptz) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _last timestamptz;
  _oldest constant timestamptz := sample_depths.minute - interval '7 days';
  _noted bigint;
begin
  select s.sampled_minute into strict _last from pgqueue.statistics_state s;
  if sample_depths.minute <= _last then
    return 0;
  end if;
  with now as materialized (
    select d.queue, d.scheduled, d.blocked, d.ready, d.running, d.dead, date_part('epoch', d.oldest_due_age) as oldest_due_seconds, d.estimated
    from pgqueue.depths() d where d.scheduled + d.blocked + d.ready + d.running + d.dead > 0
  )
  insert into pgqueue.depth_minutes (minute, queue, scheduled, blocked, ready, running, dead, oldest_due_seconds, estimated)
  select sample_depths.minute, n.queue, n.scheduled, n.blocked, n.ready, n.running, n.dead, n.oldest_due_seconds, n.estimated from now n
  union all
  select sample_depths.minute, p.queue, 0, 0, 0, 0, 0, null, false
  from pgqueue.depth_minutes p
  where p.minute = _last and p.scheduled + p.blocked + p.ready + p.running + p.dead > 0 and not exists (select from now n where n.queue = p.queue);
  get diagnostics _noted = row_count;
  insert into pgqueue.overall_minutes as m (minute, lag_seconds)
  select d.minute, max(coalesce(d.oldest_due_seconds, 0)) from pgqueue.depth_minutes d where d.minute = sample_depths.minute group by d.minute
  on conflict (minute) do update set lag_seconds = excluded.lag_seconds;
  delete from pgqueue.overall_minutes m where m.minute < _oldest;
  update pgqueue.statistics_state s set sampled_minute = sample_depths.minute;
  delete from pgqueue.depth_minutes d using (select x.minute, x.queue from pgqueue.depth_minutes x where x.minute < _oldest order by x.minute limit 20000) o
  where d.minute = o.minute and d.queue = o.queue;
  delete from pgqueue.statistics_minutes m
  using (select x.minute, x.queue, x.task from pgqueue.statistics_minutes x where x.minute < _oldest order by x.minute limit 20000) o
  where m.minute = o.minute and m.queue = o.queue and m.task = o.task;
  if date_trunc('hour', _last, 'UTC') < date_trunc('hour', sample_depths.minute, 'UTC') then
    delete from pgqueue.statistics_sums s
    using (select x.queue from pgqueue.statistics_sums x
           where not exists (select from pgqueue.worker_processes w where w.lost_at is null and x.queue = any (w.queues))
           group by x.queue having max(x.counted_at) < sample_depths.minute - interval '30 days' limit 5000) o
    where s.queue = o.queue;
  end if;
  return _noted;
end $$;
