-- Returns the UTC day of `at`, having made its partitions if nobody had: a queue whose keeper was away for weeks goes on.
create function pgqueue.ensure_day(at timestamptz) returns date
language plpgsql as $$
declare
  _day constant date := (at at time zone 'UTC')::date;
begin
  if to_regclass(format('%I.%I', pgqueue.schema_name(), 'job_attempts' || to_char(_day, '_YYYYMMDD'))) is null then
    perform pgqueue.make_partitions(_day, 2);
  end if;
  return _day;
end $$;
