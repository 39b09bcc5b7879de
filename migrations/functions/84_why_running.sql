-- The row of `why` for a job that a worker has leased: who, since when, and what becomes of it if that worker has died.
create function pgqueue.why_running(worker_id bigint, attempt integer, started_at timestamptz, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _worker record;
begin
  select w.host, w.pid, w.lost_at, w.heartbeat_at, w.heartbeat_at + w.lease as until into _worker
  from pgqueue.worker_processes w where w.id = why_running.worker_id;
  if not found then
    return query select 'lost_worker', format('attempt %s was begun at %s by worker %s, which is not in the table of workers any more: nothing hands the job on',
                                              attempt, pgqueue.told_time(started_at), worker_id);
  elsif _worker.lost_at is not null then
    return query select 'lost_worker', format('worker %s (%s, pid %s) was declared lost at %s while attempt %s ran; the job is handed on as soon as the transaction that has locked it ends',
                                              worker_id, _worker.host, _worker.pid, pgqueue.told_time(_worker.lost_at), attempt);
  elsif _worker.until < at then
    return query select 'lost_worker', format('worker %s (%s, pid %s), which runs attempt %s, is silent since %s, and its lease ended %s ago; any living worker declares it lost and hands the job on within seconds%s',
                                              worker_id, _worker.host, _worker.pid, attempt, pgqueue.told_time(_worker.heartbeat_at), pgqueue.told_span(at - _worker.until),
                                              case when not exists (select from pgqueue.worker_processes w where w.lost_at is null and w.heartbeat_at + w.lease >= at)
                                                   then ', but none is alive: start one with `pgq work`' else '' end);
  else
    return query select 'running', format('attempt %s runs on worker %s (%s, pid %s) since %s (%s), with a lease until %s, extended by each heartbeat',
                                          attempt, worker_id, _worker.host, _worker.pid, pgqueue.told_time(started_at), pgqueue.told_span(at - started_at),
                                          pgqueue.told_time(_worker.until));
  end if;
end $$;
