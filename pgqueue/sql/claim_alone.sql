-- Claims one job that has to run alone.
select 'job', id, task, args, meta, attempt, failures, losses, max_attempts, timeout, priority, run_at, created_at, expired, key, group_key
from pgqueue.claim_alone(%(worker_id)s::bigint, %(epoch)s::integer, %(token)s::bigint, %(queue)s::text, %(tasks)s::text[])
