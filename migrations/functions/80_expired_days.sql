-- The daily partitions that retention does not keep, oldest first, with their parents (null for one that was detached and not
-- dropped) and whether detaching was begun and not ended. Arguments are kept a day longer than history.
create function pgqueue.expired_days() returns table (parent text, partition text, day date, pending boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with kept as (
    select ((clock_timestamp() - s.retention) at time zone 'UTC')::date as since from pgqueue.settings s
  ), days as (
    select p.relname::text as parent, c.relname::text as partition, to_date(right(c.relname, 8), 'YYYYMMDD') as day,
           coalesce(i.inhdetachpending, false) as pending
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    left join pg_catalog.pg_class p on p.oid = i.inhparent
    where n.nspname = pgqueue.schema_name() and c.relkind = 'r'
      and c.relname ~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}$'
  )
  select d.parent, d.partition, d.day, d.pending
  from days d, kept k
  where d.day < k.since - case when d.partition like 'job_args%' then 1 else 0 end
  order by d.day, d.partition
$$;
