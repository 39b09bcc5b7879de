-- Wakes the workers that sleep on a queue, at this transaction's commit, and returns whether any may sleep. A notification takes a
-- lock that all committing notifiers share, so it is sent only when somebody sleeps: sleepers hold a shared advisory lock, and
-- taking the exclusive one fails then. The lock is given back at once and decides nothing but the wake-up: a wake-up that is
-- missed costs at most the poll interval. Never waits. In SQL, so that the planner makes it part of its caller.
-- A notification queue that is full fails the commit of whoever notifies. One frozen listener of any application on the server fills it,
-- so from half full on nobody is notified: enqueueing goes on, and sleepers find jobs by polling.
create function pgqueue.wake(queue text) returns boolean
language sql volatile
return case when pg_try_advisory_lock(pgqueue.wake_key(queue)) then not pg_advisory_unlock(pgqueue.wake_key(queue))
            when pg_notification_queue_usage() < 0.5 then pg_notify(pgqueue.wake_channel(queue), '') is not null
            else true end;
