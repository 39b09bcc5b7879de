-- Drops the steps of jobs that will never run again: those that succeeded an hour ago, and those that nobody knows any more (removed, or
-- dropped by retention). Dead and cancelled jobs keep theirs, because they can be retried. Looks at the next `max_jobs` jobs after `after` that have
-- steps, so that each turn is short; returns how many steps it dropped and the last job it looked at, null at the end of the walk.
-- Where a job stands is read in one snapshot, and neither end is ever left: what moves meanwhile is met at the next walk.
-- Plans are pinned to walks over indexes. Locks: steps in (job, name) order, passing by locked ones.
create function pgqueue.sweep_steps(after bigint, max_jobs integer) returns table (dropped bigint, last bigint)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashagg = off set enable_hashjoin = off
set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _since constant timestamptz := clock_timestamp() - interval '1 hour';
  _jobs constant bigint[] := array(select distinct s.job_id from pgqueue.job_steps s where s.job_id > after order by s.job_id limit max_jobs);
begin
  with over as materialized (
    select i.id from unnest(_jobs) as i (id)
    where not exists (select from pgqueue.queued_jobs j where j.id = i.id)
      and not exists (select from pgqueue.dead_jobs d where d.id = i.id)
      and not exists (select from pgqueue.finished_jobs f where f.id = i.id and (not f.succeeded or f.finished_at > _since))
  ), locked as materialized (
    select s.job_id, s.name from pgqueue.job_steps s
    where s.job_id = any (array(select o.id from over o))
    order by s.job_id, s.name
    for update skip locked
  ), gone as (
    delete from pgqueue.job_steps s using locked l where s.job_id = l.job_id and s.name = l.name returning s.job_id
  )
  select count(*) into dropped from gone;
  last := case when cardinality(_jobs) = max_jobs then _jobs[max_jobs] end;
  return next;
end $$;
