-- Of attempts that said `complete`, those that still have their job: `open` while a transaction holds the row, `held` when it was
-- rolled back. What is not returned is settled (or the lease is gone). Never waits. Locks: free rows, for this statement.
create function pgqueue.lease_states(ids bigint[], tokens bigint[]) returns table (id bigint, state text)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  return query
  with free as materialized (
    select j.id from pgqueue.queued_jobs j, unnest(ids, tokens) as g (id, token)
    where j.id = g.id and j.token = g.token
    for update of j skip locked
  )
  select g.id, case when exists (select from free f where f.id = g.id) then 'held' else 'open' end
  from unnest(ids, tokens) as g (id, token) join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token;
end $$;
