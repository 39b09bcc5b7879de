-- Every queue that has unfinished jobs or dead letters, is paused, or is served by a worker: its jobs by state and how long its oldest due job
-- has waited, now. Bounded, whatever there is (benchmarks/numbers.py: 9 ms with 5,000,000 jobs of 10 queues, 25 with 1,000):
--   a table of up to 1,200 pages is read as it is, and all is exact;
--   of a larger one 300 pages are drawn at random and what is on them scaled up. Queues that seem small are counted through the index of the
--   claims, up to a bound on rows that they share: those that end below it are exact, the rest are `estimated`.
-- oldest_due_age is looked up in that index for each queue and priority. The index is left alone when so many dead rows await vacuum (a
-- transaction that pins the xmin horizon) that walking over their entries would be what costs: then all is from the drawn pages.
-- Blocked jobs are never due. With its owner's rights: viewers may see the numbers, not the jobs. Locks nothing.
create function pgqueue.depths() returns table (queue text, paused boolean, scheduled bigint, blocked bigint, ready bigint, running bigint, dead bigint,
  oldest_due_age interval, estimated boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
declare
  _small_pages constant integer := 1200;
  _drawn_pages constant integer := 300;
  _rows constant integer := 10000;
  _dead_most constant integer := 200000;
  _at constant timestamptz := clock_timestamp();
  _table constant regclass := to_regclass(format('%I.%I', pgqueue.schema_name(), 'queued_jobs'));
  _pages constant bigint := pg_relation_size(_table) / current_setting('block_size')::integer;
  _scale constant double precision := greatest(1, _pages::double precision / _drawn_pages);
  _live constant double precision := pg_stat_get_live_tuples(_table);
  _indexed constant boolean := pg_stat_get_dead_tuples(_table) < _dead_most;
begin
  if _pages <= _small_pages then
    return query
    with unfinished as (
      select j.queue,
             count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
             count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
             count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
             count(*) filter (where j.worker_id is not null) as running,
             min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
      from pgqueue.queued_jobs j tablesample system (100) group by j.queue  -- never by an index, with its dead entries
    )
    select n.queue, n.paused, coalesce(u.scheduled, 0), coalesce(u.blocked, 0), coalesce(u.ready, 0), coalesce(u.running, 0), n.dead,
           _at - u.oldest_due, n.estimated
    from pgqueue.named_queues(array(select u.queue from unfinished u)) n left join unfinished u on u.queue = n.queue;
    return;
  end if;
  return query
  with recursive lines (queue, priority, run_at, is_running) as (  -- each with the job at its front
    (select j.queue, j.priority, j.run_at, j.worker_id is not null from pgqueue.queued_jobs j
     where _indexed and not j.suspect order by j.queue, j.priority, j.run_at limit 1)
    union all
    select n.queue, n.priority, n.run_at, n.is_running from lines l, lateral (
      select j.queue, j.priority, j.run_at, j.worker_id is not null as is_running from pgqueue.queued_jobs j
      where not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority, j.run_at limit 1) n
  ), known as materialized (
    select l.queue, l.priority, l.run_at, l.is_running from lines l limit 2000
  ), drawn as materialized (
    select j.queue, count(*) as total,
           count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
           count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
           count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
           count(*) filter (where j.worker_id is not null) as running,
           min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
    from pgqueue.queued_jobs j tablesample system (100 / _scale) repeatable (20261122) group by j.queue  -- the same pages: they stay cached
  ), factor as (  -- by the pages, unless the server's own count is near that: it does not depend on how many pages were drawn
    select case when _live between 0.75 * d.total * _scale and 1.25 * d.total * _scale then _live / d.total else _scale end as f
    from (select nullif(sum(x.total), 0)::double precision as total from drawn x) d
  ), guessed as materialized (
    select d.queue, d.total * x.f as total, d.scheduled * x.f as scheduled, d.blocked * x.f as blocked, d.ready * x.f as ready,
           d.running * x.f as running, d.oldest_due
    from drawn d, factor x
  ), names as materialized (
    select x.queue, coalesce(g.total, 0) as total
    from (select k.queue from known k union select g.queue from guessed g) x left join guessed g on g.queue = x.queue
  ), room as materialized (  -- how many rows may be read of a queue, and at the front of a line
    select _rows / greatest((select count(*) from names n), 1) as most, 2000 / greatest((select count(*) from known k), 20) as front
  ), counted as (
    select n.queue, c.met, c.scheduled, c.blocked, c.ready, c.running, c.oldest_due
    from names n, room r, lateral (
      select count(*) as met,
             count(*) filter (where x.worker_id is null and x.run_at > _at and x.run_at < 'infinity') as scheduled,
             count(*) filter (where x.worker_id is null and x.run_at = 'infinity') as blocked,
             count(*) filter (where x.worker_id is null and x.run_at <= _at) as ready,
             count(*) filter (where x.worker_id is not null) as running,
             min(x.run_at) filter (where x.worker_id is null and x.run_at <= _at) as oldest_due
      from (select j.worker_id, j.run_at from pgqueue.queued_jobs j where not j.suspect and j.queue = n.queue limit r.most + 1) x) c
    where _indexed and n.total <= 2 * r.most
  ), suspects as (
    select j.queue,
           count(*) filter (where j.worker_id is null and j.run_at > _at and j.run_at < 'infinity') as scheduled,
           count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
           count(*) filter (where j.worker_id is null and j.run_at <= _at) as ready,
           count(*) filter (where j.worker_id is not null) as running,
           min(j.run_at) filter (where j.worker_id is null and j.run_at <= _at) as oldest_due
    from (select x.queue, x.worker_id, x.run_at from pgqueue.queued_jobs x where _indexed and x.suspect limit 10000) j group by j.queue
  ), oldest as (
    select k.queue, min(f.run_at) as oldest_due
    from known k, lateral (
      select k.run_at where not k.is_running and k.run_at <= _at
      union all
      (select j.run_at from pgqueue.queued_jobs j
       where k.is_running and not j.suspect and j.queue = k.queue and j.priority = k.priority and j.worker_id is null and j.run_at <= _at
       order by j.run_at limit 1)) f
    group by k.queue
  ), running as (  -- running jobs are at the front, where a draw hardly ever comes
    select k.queue, sum(f.running) as running
    from known k cross join room r cross join lateral (
      select count(x.worker_id) as running
      from (select j.worker_id from pgqueue.queued_jobs j where not j.suspect and j.queue = k.queue and j.priority = k.priority
            order by j.run_at limit r.front) x) f
    where r.front >= 10  -- with more than 200 lines, what the drawn pages tell
    group by k.queue
  ), found as (
    select n.queue, coalesce(c.met <= r.most, false) as exact, least(o.oldest_due, c.oldest_due, g.oldest_due, s.oldest_due) as oldest_due,
           c, g, s, f.running
    from (select x.queue from names x union select y.queue from suspects y) n
    cross join room r
    left join counted c on c.queue = n.queue
    left join guessed g on g.queue = n.queue
    left join suspects s on s.queue = n.queue
    left join oldest o on o.queue = n.queue
    left join running f on f.queue = n.queue
  ), depth as (
    select f.queue, f.exact, f.oldest_due,
           case when f.exact then (f.c).scheduled + coalesce((f.s).scheduled, 0) else greatest((f.g).scheduled, (f.c).scheduled, 0) end::bigint as scheduled,
           case when f.exact then (f.c).blocked + coalesce((f.s).blocked, 0) else greatest((f.g).blocked, (f.c).blocked, 0) end::bigint as blocked,
           case when f.exact then (f.c).ready + coalesce((f.s).ready, 0) else greatest((f.g).ready, (f.c).ready, 0) end::bigint as ready,
           case when f.exact then (f.c).running + coalesce((f.s).running, 0) else greatest((f.g).running, f.running, 0) end::bigint as running
    from found f
  )
  select n.queue, n.paused, coalesce(d.scheduled, 0), coalesce(d.blocked, 0), coalesce(d.ready, 0), coalesce(d.running, 0), n.dead, _at - d.oldest_due,
         n.estimated or not coalesce(d.exact, _indexed)
  from pgqueue.named_queues(array(select d.queue from depth d)) n left join depth d on d.queue = n.queue;
end $$;
