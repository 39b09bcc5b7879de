-- Keeps log lines, settles the last batch and claims the next; see the functions step and keep_logs.
select kind, id, task, args, meta, attempt, failures, losses, max_attempts, timeout, priority, run_at, created_at, expired, key, group_key
from pgqueue.step_logging(%(logs)s::jsonb, %(worker_id)s::bigint, %(epoch)s::integer, %(token)s::bigint, %(queue)s::text, %(tasks)s::text[], %(max_jobs)s::integer,
  %(priorities)s::smallint[], %(marks_at)s::timestamptz[], %(marks_id)s::bigint[],
  %(done_ids)s::bigint[], %(done_tokens)s::bigint[], %(outcomes)s::jsonb, %(series)s::integer)
