-- The row of `why` for a job of a queue that shares fairly, until its key's share has come (see gate_shares and deal).
create function pgqueue.why_share(id bigint, queue text, fair_key text, priority smallint) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _fair boolean;
  _ahead bigint;
  _dealt bigint;
begin
  if exists (select from pgqueue.permits p where p.job_id = why_share.id and p.kind = 'fair') then
    return;
  end if;
  _fair := exists (select from pgqueue.queue_policies p where p.queue = why_share.queue and p.fair);
  if not _fair and not exists (select from pgqueue.lane_waits w where w.job_id = why_share.id and w.kind = 'fair') then
    return;
  end if;
  _ahead := (select count(*) from (
    select from pgqueue.lane_waits w
    where w.kind = 'fair' and w.name = why_share.queue and w.key = why_share.fair_key and (w.priority, w.job_id) < (why_share.priority, why_share.id) limit 10000) a);
  _dealt := (select count(*) from (
    select from pgqueue.permits p where p.kind = 'fair' and p.name = why_share.queue and p.key = why_share.fair_key limit 10000) d);
  return query select 'fair_share', format('queue %L deals its jobs out in shares, by the weights of their keys: in the line of key %L (weight %s) %s before it, and %s dealt out and not claimed yet%s',
    queue, fair_key, coalesce((select f.weight from pgqueue.fair_weights f where f.queue = why_share.queue and f.key = why_share.fair_key), 1),
    pgqueue.told_count(_ahead, 'job', 'jobs'), pgqueue.told_count(_dealt, 'job of this key', 'jobs of this key'),
    case when _fair then '' else '; the queue does not share fairly any more, and housekeeping makes this job due within seconds' end);
end $$;
