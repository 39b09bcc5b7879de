-- The channel on which the sleepers of a queue listen.
create function pgqueue.wake_channel(queue text) returns text
language sql immutable parallel safe
return 'pgq_' || to_hex(pgqueue.wake_key(queue));
