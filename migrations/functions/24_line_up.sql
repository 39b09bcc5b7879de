-- Puts due jobs that have just been added to a queue into the lines of their gates: that of their group, so that turns go by id among
-- all that is visible, also what no claim has met yet (I8); and that of their fair key, if the queue shares fairly: those are
-- parked, as the deal takes them from there. Locks: nothing; the rows are the caller's own.
create function pgqueue.line_up(ids bigint[], at timestamptz) returns void
language sql set enable_seqscan = off set enable_nestloop = on as $$
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select 'group', j.queue, a.gates ->> 'group', 0, j.id
  from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
  where j.id = any (ids) and j.run_at <= at and a.gates ? 'group'
  on conflict do nothing;
  with lined as (
    insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
    select 'fair', j.queue, a.gates ->> 'fair', j.priority, j.id
    from pgqueue.queued_jobs j
    join pgqueue.queue_policies p on p.queue = j.queue and p.fair
    join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.id = any (ids) and j.run_at <= at and a.gates ? 'fair'
    on conflict do nothing
    returning job_id
  )
  update pgqueue.queued_jobs j set run_at = 'infinity' from lined l where j.id = l.job_id
$$;
