-- Gives the sleepers' locks back.
select pg_advisory_unlock_shared(key) from unnest(%(keys)s::bigint[]) as key
