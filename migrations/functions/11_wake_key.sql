-- The advisory lock that the sleepers of a queue share; its hexadecimal form names their channel. The schema is in the
-- hash, so that two installations in one database do not wake each other. A queue of null stands for the operators'
-- channel (cancel requests), '' for those who wait for results.
create function pgqueue.wake_key(queue text) returns bigint
language sql immutable parallel safe
return hashtextextended('pgqueue' || chr(31) || coalesce('q' || queue, 'control'), 20261122);
