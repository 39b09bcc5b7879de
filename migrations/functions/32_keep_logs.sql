-- Keeps what handlers logged, before their attempts are settled in the same transaction. `logs` is an array of {id, token, attempt,
-- worker_id, lines}. Fenced by the lease: lines go to the attempt that holds this token now, under the number that stands there, so that what
-- a worker says of a job that others have is passed over (I4), and a batch that is sent again finds no token any more. A handler that said `complete`
-- has settled its attempt itself: its lines go to the finished job of this attempt by this worker, whose id is random, once.
-- Makes the day's partition if nobody had. Locks nothing else.
create function pgqueue.keep_logs(logs jsonb, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _day constant date := (at at time zone 'UTC')::date;
begin
  if to_regclass(format('%I.%I', pgqueue.schema_name(), 'attempt_lines' || to_char(_day, '_YYYYMMDD'))) is null then
    perform pgqueue.make_partitions(_day, 2);
  end if;
  with given as materialized (
    select distinct on (g.id, g.token) g.id, g.token, g.attempt, g.worker_id, g.lines
    from jsonb_to_recordset(logs) as g (id bigint, token bigint, attempt integer, worker_id bigint, lines jsonb)
    order by g.id, g.token
  )
  insert into pgqueue.attempt_lines (job_id, logged_at, attempt, lines)
  select j.id, at, j.attempt, g.lines
  from given g join pgqueue.queued_jobs j on j.id = g.id and j.token = g.token
  union all
  select f.id, at, f.attempt, g.lines
  from given g join pgqueue.finished_jobs f on f.id = g.id and f.attempt = g.attempt and f.worker_id = g.worker_id
  where f.succeeded and f.finished_at > at - interval '1 day'
    and not exists (select from pgqueue.attempt_lines l where l.job_id = f.id and l.attempt = f.attempt);
end $$;
