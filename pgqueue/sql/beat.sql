-- A heartbeat: null when the worker was declared lost, else the ids of its jobs to cancel. Then which server it is, and how far its log
-- goes: read before the beat commits, so that with the commit acknowledged that much is known to be there.
select pgqueue.beat(%(worker_id)s::bigint, %(running)s::integer, %(listener_pid)s::integer),
  s.system_identifier, s.timeline, s.started_at::text, s.lsn::text, clock_timestamp()::text
from pgqueue.server_state() s
