-- Ends the epoch of a broken connection and finds what its last claim had leased.
select held, epoch, queue, 'job', id, task, args, meta, attempt, failures, losses, max_attempts, timeout, priority, run_at, created_at, expired, key, group_key
from pgqueue.recover(%(worker_id)s::bigint, %(token)s::bigint)
