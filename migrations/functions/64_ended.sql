-- Which of these jobs will not run any more by themselves: a row each, with what they left behind. A job that nobody knows has a row
-- without a state; unfinished ones have none. For those who wait for results: they ask for a thousand at once, so the plan is pinned
-- to walks over indexes, and costs 1 us per unfinished job. One statement, because a job may move meanwhile. Locks: nothing.
create function pgqueue.ended(ids bigint[]) returns table (id bigint, state text, attempt integer, result jsonb, error jsonb)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
begin
  return query
  with gone as materialized (
    select distinct i.id from unnest(ids) as i (id)
    where not exists (select from pgqueue.queued_jobs j where j.id = i.id)
  )
  select g.id, case when f.id is not null then case when f.succeeded then 'succeeded' else 'cancelled' end when d.id is not null then 'dead' end,
         coalesce(f.attempt, d.attempt), f.result, coalesce(f.error, d.error)
  from gone g
  left join pgqueue.finished_jobs f on f.id = g.id
  left join pgqueue.dead_jobs d on d.id = g.id;
end $$;
