-- Ends the listening backend of a lost worker: a frozen one would fill the notification queue until every NOTIFY fails. The
-- start time guards against a reused pid. That the role may not signal the backend is no error: the queue only grows slower to fill.
create function pgqueue.end_listener(pid integer, started_at timestamptz) returns void
language plpgsql as $$
begin
  perform pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
  where a.pid = end_listener.pid and a.backend_start = end_listener.started_at and a.pid <> pg_backend_pid();
exception when insufficient_privilege then
  raise log 'pgqueue: not allowed to end the listening backend % of a lost worker', end_listener.pid;
end $$;
