-- A step whose attempts logged something: `keep_logs`, then `step`, in one transaction. A function of its own, so that steps without
-- lines cost what they did. Returns what `step` does. Locks: those of step.
create function pgqueue.step_logging(logs jsonb, worker_id bigint, epoch integer, token bigint, queue text, tasks text[], max_jobs integer,
  priorities smallint[], marks_at timestamptz[], marks_id bigint[], done_ids bigint[], done_tokens bigint[], outcomes jsonb, series integer)
returns table (kind text, id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint,
               timeout interval, priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pgqueue.keep_logs(logs, clock_timestamp());
  return query select s.kind, s.id, s.task, s.args, s.meta, s.attempt, s.failures, s.losses, s.max_attempts, s.timeout, s.priority, s.run_at,
                      s.created_at, s.expired, s.key, s.group_key
               from pgqueue.step(worker_id, epoch, token, queue, tasks, max_jobs, priorities, marks_at, marks_id, done_ids, done_tokens,
                                 outcomes, series) s;
end $$;
