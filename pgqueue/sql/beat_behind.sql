-- The heartbeat of a worker whose loop has not turned for so long: its lease counts from then. No row: it was declared lost.
update pgqueue.worker_processes
set heartbeat_at = greatest(heartbeat_at, clock_timestamp() - make_interval(secs => %(behind_seconds)s))
where id = %(worker_id)s and lost_at is null
returning id
