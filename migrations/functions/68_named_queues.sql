-- These queues, and those that have dead letters, are paused, or are served by a worker; with their dead letters, exact up to 10,000 of them in
-- all, above that scaled up from pages drawn at random. For depths, with the rights that it has.
create function pgqueue.named_queues(queues text[]) returns table (queue text, paused boolean, dead bigint, estimated boolean)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _most constant integer := 10000;
  _drawn_pages constant integer := 500;
  _pages constant bigint := pg_relation_size(to_regclass(format('%I.%I', pgqueue.schema_name(), 'dead_jobs'))) / current_setting('block_size')::integer;
begin
  return query
  with met as materialized (
    select d.queue from pgqueue.dead_jobs d limit _most + 1
  ), exactness as materialized (
    select count(*) <= _most as is_exact from met
  ), dead as (
    select m.queue, count(*) as dead from met m where (select e.is_exact from exactness e) group by m.queue
    union all
    select d.queue, (count(*) * greatest(1, _pages::double precision / _drawn_pages))::bigint
    from pgqueue.dead_jobs d tablesample system (least(100, 100.0 * _drawn_pages / greatest(_pages, 1))) repeatable (20261122)
    where not (select e.is_exact from exactness e) group by d.queue
  ), names as (
    select unnest(queues) as queue union select d.queue from dead d union select p.queue from pgqueue.paused_queues p
    union select unnest(w.queues) from pgqueue.worker_processes w where w.lost_at is null
  )
  select n.queue, p.queue is not null, coalesce(d.dead, 0), not (select e.is_exact from exactness e)
  from names n left join dead d on d.queue = n.queue left join pgqueue.paused_queues p on p.queue = n.queue;
end $$;
