-- Stores the latest progress of running attempts: an array of {id, token, fraction 0 to 1, note}. Returns the ids of those whose lease
-- is gone: nothing is stored for them, and their handlers must stop (I4). Of several reports of one attempt the last counts; fractions
-- are held between 0 and 1, so that one odd value cannot keep the others from being stored. Locks: progress rows in id order.
create function pgqueue.report_progress(reports jsonb) returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
begin
  return query
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, case when g.fraction <> 'NaN' then least(greatest(g.fraction, 0), 1) end as fraction, g.note
    from rows from (jsonb_to_recordset(reports) as (id bigint, token bigint, fraction double precision, note text))
      with ordinality as g (id, token, fraction, note, place)
    order by g.id, g.token, g.place desc
  ), stored as (
    insert into pgqueue.job_progress as p (job_id, token, updated_at, fraction, note)
    select g.id, g.token, clock_timestamp(), g.fraction, g.note
    from given g join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token
    order by g.id
    on conflict (job_id) do update set token = excluded.token, updated_at = excluded.updated_at, fraction = excluded.fraction, note = excluded.note
    returning p.job_id
  )
  select g.id from given g where not exists (select from stored s where s.job_id = g.id);
end $$;
