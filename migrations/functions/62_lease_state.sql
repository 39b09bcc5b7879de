-- Whether an attempt that said `complete` still has its job: `settled` when that transaction committed (or the lease is gone), `open`
-- while it holds the row, `held` when it was rolled back. Never waits. Locks: nothing beyond this statement.
create function pgqueue.lease_state(id bigint, token bigint) returns text
language plpgsql as $$
#variable_conflict use_column
begin
  perform from pgqueue.queued_jobs j where j.id = lease_state.id and j.token = lease_state.token for update skip locked;
  if found then
    return 'held';
  elsif exists (select from pgqueue.queued_jobs j where j.id = lease_state.id and j.token = lease_state.token) then
    return 'open';
  end if;
  return 'settled';
end $$;
