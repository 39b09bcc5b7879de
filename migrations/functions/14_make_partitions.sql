-- Makes the daily partitions from `first_day` on, as far as they are missing, and returns how many it made. Made as plain
-- tables that are then attached, so that readers and writers of the parents go on (SHARE UPDATE EXCLUSIVE).
-- With its owner's rights, since workers run it and own no table. Raises PQ004. Locks: one advisory lock of this installation, then the parents in the order of the array.
create function pgqueue.make_partitions(first_day date, days integer default 14) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  _schema constant text := pgqueue.schema_name();
  _parent text;
  _day date;
  _name text;
  _made integer := 0;
begin
  if days not between 0 and 400 or first_day not between '2000-01-01' and '9000-01-01' then
    raise exception using errcode = 'PQ004', message = format('make_partitions: days must be from 0 to 400 and begin in the years 2000 to 9000, got %s from %s', days, first_day);
  end if;
  perform pg_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'partitions', 20261122));
  foreach _parent in array array['attempt_lines', 'finished_jobs', 'job_args', 'job_attempts'] loop
    for _offset in 0 .. days - 1 loop
      _day := first_day + _offset;
      _name := _parent || to_char(_day, '_YYYYMMDD');
      continue when to_regclass(format('%I.%I', _schema, _name)) is not null;
      execute format('create table %I.%I (like %I.%I including defaults including constraints)',
                     _schema, _name, _schema, _parent);
      if _parent = 'job_args' then
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day, _day + 1);
      else
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day || ' 00:00:00+00', (_day + 1) || ' 00:00:00+00');
      end if;
      _made := _made + 1;
    end loop;
  end loop;
  return _made;
end $$;
