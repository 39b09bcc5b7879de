-- How many succeeded and cancelled jobs of each queue the history holds: exact up to 10,000 of them, above that scaled up from 300 pages drawn at
-- random, and of queues that are not on them what the counters say, when that is less than one page would mean. Bounded, for the view of queues.
-- With its owner's rights: viewers may see the numbers, not the jobs. Locks nothing.
create function pgqueue.history_depths() returns table (queue text, succeeded bigint, cancelled bigint, estimated boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  _most constant integer := 10000;
  _drawn_pages constant integer := 300;
  _pages bigint;
  _scale double precision;
begin
  if (select count(*) <= _most from (select from pgqueue.finished_jobs f limit _most + 1) x) then
    return query
    select f.queue, count(*) filter (where f.succeeded), count(*) filter (where not f.succeeded), false from pgqueue.finished_jobs f group by f.queue;
    return;
  end if;
  select sum(pg_relation_size(i.inhrelid)) / current_setting('block_size')::integer into _pages
  from pg_inherits i where i.inhparent = to_regclass(format('%I.%I', pgqueue.schema_name(), 'finished_jobs'));
  _scale := greatest(1, _pages::double precision / _drawn_pages);
  return query
  with drawn as (
    select f.queue, count(*) filter (where f.succeeded) as succeeded, count(*) filter (where not f.succeeded) as cancelled
    from pgqueue.finished_jobs f tablesample system (100 / _scale) repeatable (20261122) group by f.queue
  ), counters as (
    select s.queue, sum(s.succeeded) as succeeded, sum(s.cancelled) as cancelled from pgqueue.statistics_sums s group by s.queue
  )
  select coalesce(d.queue, c.queue), coalesce((d.succeeded * _scale)::bigint, least(c.succeeded::bigint, (_scale * 40)::bigint), 0),
         coalesce((d.cancelled * _scale)::bigint, least(c.cancelled::bigint, (_scale * 40)::bigint), 0), true
  from drawn d full join counters c on c.queue = d.queue;
end $$;
