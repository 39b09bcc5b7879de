-- Who answers: the backend, and which server, since when.
select pg_backend_pid(), s.system_identifier, s.timeline, s.started_at::text from pgqueue.server_state() s
