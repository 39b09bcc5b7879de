-- Jobs due plus jobs running, of a queue or of all: what an autoscaler divides by, as often as it likes. Jobs due later and parked jobs do not
-- count, and a message group with jobs under way counts once. Bounded, whatever there is (benchmarks/numbers.py):
--   Up to 50,000 jobs are counted, along the index of claims, where those due later and the parked ones come last: exact. Of more, what depths()
--   estimates, some per cent off, but never less than was counted. So too with jobs in more than 2,000 pairs of queue and priority.
--   Groups are in the arguments' table, where each job with gates has to be looked up. Of more than 5,000 such jobs the first 5,000 tell how many
--   would count.
--   While more than 200,000 dead rows await vacuum the index is full of dead entries. Then the estimate is taken when it is above 10,000; else,
--   because autoscalers go down to zero, the jobs are counted in the table, as it lies: the one case in which the cost grows with what was there.
-- With its owner's rights: autoscalers are viewers, who may see the number but not the jobs. Locks nothing.
create function pgqueue.backlog(queue text default null) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
#variable_conflict use_column
declare
  _most constant integer := 50000;
  _looked_up constant integer := 5000;
  _pairs_most constant integer := 2000;
  _sure constant integer := 10000;
  _small_pages constant integer := 1200;
  _dead_most constant integer := 200000;
  _at constant timestamptz := clock_timestamp();
  _queue constant text := backlog.queue;
  _table constant regclass := to_regclass(format('%I.%I', pgqueue.schema_name(), 'queued_jobs'));
  _is_small constant boolean := pg_relation_size(_table) / current_setting('block_size')::integer <= _small_pages;
  _by_index constant boolean := not _is_small and pg_stat_get_dead_tuples(_table) < _dead_most;
  _estimate bigint;
  _limit integer;
  _met bigint;      -- jobs due or running that were seen
  _counting bigint; -- of these, a busy group once
  _is_all boolean;
begin
  if not _is_small and not _by_index then
    select coalesce(sum(d.ready + d.running), 0) into _estimate from pgqueue.depths() d where _queue is null or d.queue = _queue;
    if _estimate > _sure then
      return _estimate;
    end if;
  end if;
  foreach _limit in array array[_looked_up, _most] loop
    with recursive lines (queue, priority, n) as (
      select f.queue, f.priority, 1 from (
        (select j.queue, j.priority from pgqueue.queued_jobs j where _queue is null and not j.suspect order by j.queue, j.priority limit 1)
        union all
        (select j.queue, j.priority from pgqueue.queued_jobs j where j.queue = _queue and not j.suspect order by j.priority limit 1)) f
      where _by_index
      union all
      select n.queue, n.priority, l.n + 1 from lines l, lateral (  -- one of the two
        (select j.queue, j.priority from pgqueue.queued_jobs j
         where _queue is null and not j.suspect and (j.queue, j.priority) > (l.queue, l.priority) order by j.queue, j.priority limit 1)
        union all
        (select j.queue, j.priority from pgqueue.queued_jobs j
         where j.queue = _queue and not j.suspect and j.priority > l.priority order by j.priority limit 1)) n
      where l.n < _pairs_most
    ), met as materialized (
      (select j.id, j.queue, j.args_day, j.gated
       from lines l, lateral (select x.id, x.queue, x.args_day, x.gated from pgqueue.queued_jobs x
                              where not x.suspect and x.queue = l.queue and x.priority = l.priority and x.run_at <= _at limit _limit + 1) j
       limit _limit + 1)
      union all
      (select j.id, j.queue, j.args_day, j.gated from pgqueue.queued_jobs j
       where _by_index and j.suspect and (_queue is null or j.queue = _queue) and (j.worker_id is not null or j.run_at <= _at)
       limit _limit + 1)
      union all
      (select j.id, j.queue, j.args_day, j.gated from pgqueue.queued_jobs j tablesample system (100)
       where not _by_index and (_queue is null or j.queue = _queue) and (j.worker_id is not null or j.run_at <= _at))
    ), grouped as (
      select coalesce('g' || m.queue || chr(31) || (select a.gates ->> 'group' from pgqueue.job_args a where a.id = m.id and a.day = m.args_day), m.id::text) as key
      from (select x.id, x.queue, x.args_day from met x where x.gated limit _looked_up) m
    )
    select c.jobs, c.jobs - c.gated + coalesce(round(c.gated * g.counting), 0)::bigint,
           not _by_index or c.jobs <= _limit and (select count(*) from lines l) < _pairs_most
      into strict _met, _counting, _is_all
    from (select count(*) as jobs, count(*) filter (where m.gated) as gated from met m) c,
         (select count(distinct x.key)::double precision / nullif(count(*), 0) as counting from grouped x) g;
    if _is_all then
      return _counting;
    end if;
    _estimate := coalesce(_estimate, (select coalesce(sum(d.ready + d.running), 0) from pgqueue.depths() d where _queue is null or d.queue = _queue));
    exit when _estimate > 4 * _most;  -- however wrong it is, there are more than would be counted
  end loop;
  return greatest(_counting, round(_estimate * (_counting::double precision / greatest(_met, 1))));
end $$;
