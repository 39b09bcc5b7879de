-- The priorities that a queue's unfinished jobs have now, ascending: one index probe each. Asked for by full passes.
create function pgqueue.priorities(queue text) returns smallint[]
language sql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
  with recursive seen as (
    select (select min(q.priority) from pgqueue.queued_jobs q where q.queue = priorities.queue and not q.suspect) as priority
    union all
    select (select min(q.priority) from pgqueue.queued_jobs q
            where q.queue = priorities.queue and not q.suspect and q.priority > s.priority)
    from seen s where s.priority is not null
  )
  select coalesce(array_agg(s.priority order by s.priority), '{}') from seen s where s.priority is not null
$$;
