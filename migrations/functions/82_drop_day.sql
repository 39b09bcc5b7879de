-- Drops a daily partition that retention does not keep, for a worker that owns no table; the owner detaches concurrently instead. Returns
-- whether it did: not one that retention keeps, nor arguments that some job still needs, whoever asks. Gives up after a quarter of a
-- second (55P03), so that who reads the history does not queue behind it for longer. With its owner's rights.
-- Locks: the parent, exclusively. A death right after it leaves the day dropped or as it was.
create function pgqueue.drop_day(partition text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '250ms' as $$
#variable_conflict use_variable
declare
  _day date;
begin
  select e.day into _day from pgqueue.expired_days() e where e.partition = drop_day.partition;
  if not found or partition like 'job\_args\_%'
     and (exists (select from pgqueue.queued_jobs j where j.args_day = _day) or exists (select from pgqueue.dead_jobs d where d.args_day = _day)) then
    return false;
  end if;
  execute format('drop table %I.%I', pgqueue.schema_name(), partition);
  return true;
end $$;
