-- The backend that answers.
select pg_backend_pid() as pid
