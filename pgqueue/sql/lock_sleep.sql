-- Takes the sleepers' locks, shared, on the listening connection; only tries.
select pg_try_advisory_lock_shared(key) from unnest(%(keys)s::bigint[]) as key
