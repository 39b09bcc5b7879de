-- A heartbeat: null when the worker was declared lost, else the ids of its jobs to cancel.
select pgqueue.beat(%(worker_id)s::bigint, %(running)s::integer, %(listener_pid)s::integer)
