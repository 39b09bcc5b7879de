-- Everything about one job.
select j.id, j.task, j.queue, j.state, j.priority, j.args, j.meta, j.key, j.attempt, j.max_attempts, j.failures, j.losses, j.timeout,
       j.run_at, j.expires_at, j.created_at, j.started_at, j.finished_at, j.worker_id, j.progress, j.progress_note, j.result, j.error
from pgqueue.jobs j
where j.id = %(id)s::bigint
