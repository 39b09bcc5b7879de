-- Takes the jobs that follow in their groups' lines behind jobs that are about to be claimed, up to `series` of each group with its
-- first one: they go to the same worker, which runs them one after the other. Stops at a job that cannot be had (locked, of another
-- task, with limits of its own, suspect). Returns their ids; they hold their group's turn with the first.
-- Locks: the groups' lanes that it can have at once, in order; the jobs that it can have at once.
create function pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamptz) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _key text;
  _all bigint[] := '{}';
  _next bigint[];
begin
  for _key in
    select l.key from pgqueue.lanes l
    where l.kind = 'group' and l.name = take_series.queue
      and l.key = any (array(select p.key from pgqueue.permits p where p.kind = 'group' and p.job_id = any (heads)))
    order by l.key
    for update skip locked
  loop
    select array_agg(f.job_id) into _next
    from (select w.job_id, bool_and(j.id is not null) over (order by w.job_id) as unbroken
          from (select x.job_id from pgqueue.lane_waits x
                where x.kind = 'group' and x.name = take_series.queue and x.key = _key order by x.job_id limit series - 1) w
          left join lateral (
            select q.id from pgqueue.queued_jobs q join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
            where q.id = w.job_id and q.worker_id is null and not q.suspect and q.task = any (tasks) and not a.gates ?| array['limits', 'fair']
            for update of q skip locked) j on true) f
    where f.unbroken;
    continue when _next is null;
    _next := array(  -- looked at again now that their rows are had: one may have been replaced meanwhile
      select i from unnest(_next) i join pgqueue.queued_jobs q on q.id = i join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
      where q.task = any (tasks) and not a.gates ?| array['limits', 'fair']);
    with gone as (
      delete from pgqueue.lane_waits w
      where w.kind = 'group' and w.name = take_series.queue and w.key = _key and w.priority = 0 and w.job_id = any (_next)
      returning w.job_id
    )
    select array_agg(g.job_id) into _next from gone g;
    continue when _next is null;
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'group', queue, _key, at from unnest(_next) i;
    _all := _all || _next;
  end loop;
  return _all;
end $$;
