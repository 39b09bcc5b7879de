-- Wakes the workers that sleep on a queue, at this transaction's commit. A notification takes a lock that all committing
-- notifiers share, so it is sent only when somebody sleeps: sleepers hold a shared advisory lock, and taking the
-- exclusive one fails then. The lock is given back at once and decides nothing but the wake-up: a wake-up that is missed costs
-- at most the poll interval. Never waits.
create function pgqueue.wake(queue text) returns void
language plpgsql as $$
declare
  _key constant bigint := pgqueue.wake_key(queue);
begin
  if pg_try_advisory_lock(_key) then
    perform pg_advisory_unlock(_key);
  else
    perform pg_notify(pgqueue.wake_channel(queue), '');
  end if;
end $$;
