-- Settles an attempt as succeeded inside the handler's own transaction: its effects and the job's end commit together, or not at all.
-- Raises PQ005 when the lease is gone. Locks: the job's row and what settle locks.
create function pgqueue.complete(id bigint, token bigint, result jsonb default null) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _at constant timestamptz := clock_timestamp();
begin
  perform pgqueue.guard(id, token);
  perform pgqueue.ensure_day(_at);
  perform pgqueue.settle(jsonb_build_array(jsonb_build_object('id', id, 'token', token, 'outcome', 'succeeded', 'result', result)), _at);
  perform pgqueue.wake('');
end $$;
