-- Declares workers lost whose heartbeat is older than their lease, ends their listening backends, and hands their jobs on: lost is not
-- failed. Returns a row per lost worker with the number of its jobs that moved. Each worker's jobs are looked for once, unless some
-- were locked by a handler's own transaction: those are left for the next time. One bad row does not stop the others. Each worker that is declared
-- lost here is noted in incident_log, as silent, and marked as stuck unless somebody knows better what is wrong with it.
-- At most max_jobs are moved (null: all), the rest is left for the next call: whoever calls it beats on the same connection, and a call that took
-- longer than a heartbeat may would be cut off, roll back, and be begun again by everybody, for ever (found by the soak).
-- Locks: lost workers for update, passing by those that are claiming right now; then, under a fresh snapshot, which a claim
-- cannot slip behind, their jobs in id order, passing by those that are locked.
create function pgqueue.rescue(max_jobs integer default null) returns table (worker_id bigint, host text, pid integer, jobs bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _worker record;
  _outcomes jsonb;
  _one jsonb;
  _room integer := max_jobs;
begin
  for _worker in
    select w.id, w.host, w.pid, w.listener_pid, w.listener_at, w.lost_at, w.heartbeat_at
    from pgqueue.worker_processes w
    where not w.rescued and (w.lost_at is not null or w.heartbeat_at + w.lease < clock_timestamp())
    order by w.id
    limit 100
    for update skip locked
  loop
    update pgqueue.worker_processes w
    set lost_at = coalesce(w.lost_at, clock_timestamp()), listener_pid = null,
        stuck = case when w.lost_at is null then coalesce(w.stuck, 'silent') else w.stuck end,
        stuck_since = case when w.lost_at is null then coalesce(w.stuck_since, w.heartbeat_at) else w.stuck_since end
    where w.id = _worker.id;
    perform pgqueue.end_listener(_worker.listener_pid, _worker.listener_at);
    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost', 'error', jsonb_build_object(
             'type', 'WorkerLost', 'message', format('worker %s (%s, pid %s) stopped beating %s', _worker.id, _worker.host, _worker.pid,
               case when j.alone then 'while it ran this job alone' else 'while it held this job, perhaps among others' end))))
    into _outcomes
    from (select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id
          limit _room for update skip locked) j;
    if _worker.lost_at is null then
      insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail)
      values (_worker.id, _worker.host, _worker.pid, 'silent',
              coalesce((select array_agg((o.one ->> 'id')::bigint order by o.place) from jsonb_array_elements(_outcomes) with ordinality as o (one, place)
                        where o.place <= 100), '{}'),
              format('its last heartbeat was at %s; %s jobs were handed on', pgqueue.told_time(_worker.heartbeat_at), coalesce(jsonb_array_length(_outcomes), 0)));
    end if;
    begin
      perform pgqueue.ensure_day(clock_timestamp());
      perform pgqueue.settle(_outcomes, clock_timestamp()) where _outcomes is not null;
    exception when others then
      raise warning 'rescue of worker %: % (%); going on job by job', _worker.id, sqlerrm, sqlstate;
      for _one in select o from jsonb_array_elements(_outcomes) o loop
        begin
          perform pgqueue.settle(jsonb_build_array(_one), clock_timestamp());
        exception when others then
          raise warning 'rescue of job %: % (%)', _one ->> 'id', sqlerrm, sqlstate;
        end;
      end loop;
    end;
    update pgqueue.worker_processes w set rescued = not exists (select from pgqueue.queued_jobs q where q.worker_id = _worker.id) where w.id = _worker.id;
    perform pgqueue.wake('') where _outcomes is not null;
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = _worker.id) q;
    worker_id := _worker.id; host := _worker.host; pid := _worker.pid; jobs := coalesce(jsonb_array_length(_outcomes), 0);
    return next;
    _room := _room - jobs;
    exit when _room <= 0;
  end loop;
end $$;
