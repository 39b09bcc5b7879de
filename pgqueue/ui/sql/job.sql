-- Everything about one job; who asked when to cancel it; the flow it belongs to; the schedule that made it.
select j.id, j.task, j.queue, j.state, j.priority, j.args, j.meta, j.key, j.group_key, j.attempt, j.max_attempts, j.failures, j.losses, j.timeout,
       j.run_at, j.expires_at, j.created_at, j.started_at, j.finished_at, j.worker_id, j.progress, j.progress_note, j.result, j.error, j.suspect,
       (select c.requested_at from pgqueue.cancel_requests c where c.job_id = j.id) as cancel_requested_at,
       (select n.flow_id from pgqueue.flow_nodes n where n.id = j.id) as flow_id, (select s.name from pgqueue.job_schedules s where s.name = j.meta ->> 'schedule') as schedule
from pgqueue.jobs j
where j.id = %(id)s::bigint
