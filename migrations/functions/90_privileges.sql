-- Nobody may call our functions by default: PostgreSQL lets PUBLIC execute new ones.
revoke execute on all functions in schema pgqueue from public;
-- A role that may not make roles migrates all the same: see `pgq grants`.
do $$ begin perform pgqueue.grant_roles(); end $$;
