-- Cancels what is unfinished of a flow, and returns how many jobs that were: waiting ones end at once, running ones are told to stop, as by
-- cancel. Undos are left alone, wherever in the flow their saga is: the steps are cancelled, and what they did is undone; an undo that runs is not stopped,
-- and one that has nothing to undo is skipped by the end of its step. Raises PQ001 unknown flow.
-- Locks: the flow, all its unfinished nodes by (rank, id), then the waiting jobs in id order that it can have at once (a request is left for
-- the others), then their keys and lanes. It waits for settles, and for a transaction that is adding to the flow.
create function pgqueue.cancel_flow(flow_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _reason constant text := 'its flow was cancelled';
  _ids bigint[];
  _waiting bigint[];
  _blocked bigint[];
  _asked bigint[];
  _id bigint;
begin
  update pgqueue.job_flows f set cancelled_at = coalesce(f.cancelled_at, _at) where f.id = cancel_flow.flow_id;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  perform pgqueue.ensure_day(_at);
  perform from pgqueue.flow_nodes n where n.flow_id = cancel_flow.flow_id and n.outcome is null order by n.rank, n.id for no key update;
  _ids := array(select n.id from pgqueue.flow_nodes n
                where n.flow_id = cancel_flow.flow_id and n.outcome is null and n.is_job and n.role <> 'undo');
  _waiting := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) and j.worker_id is null order by j.id for update skip locked);
  _asked := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) except select unnest(_waiting) order by 1);
  _blocked := array(select n.id from pgqueue.flow_nodes n where n.id = any (_waiting) and n.blocked);
  update pgqueue.flow_nodes n set outcome = 'cancelled', ended_at = _at, blocked = false where n.id = any (_waiting);
  perform pgqueue.end_blocked(_blocked, _at, _reason);
  perform pgqueue.advance_nodes(_waiting, '{}', _at);
  update pgqueue.queued_jobs j set linked = false where j.id = any (_waiting);  -- those that are left; their children have been told
  foreach _id in array array(select j.id from pgqueue.queued_jobs j where j.id = any (_waiting) order by j.id) loop
    perform pgqueue.cancel_waiting(_id, _at, _reason);
  end loop;
  insert into pgqueue.cancel_requests (job_id, requested_at) select a, _at from unnest(_asked) a on conflict do nothing;
  perform pg_notify(pgqueue.wake_channel(null), '') where _asked <> '{}' and pg_notification_queue_usage() < 0.5;  -- as in wake
  perform pgqueue.wake('');
  return cardinality(_waiting) + cardinality(_asked);
end $$;

-- Raises PQ001, for an id that no flow has.
create function pgqueue.unknown_flow(id bigint) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'PQ001',
    message = format('there is no flow %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
end $$;
