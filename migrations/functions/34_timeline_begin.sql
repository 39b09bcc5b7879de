-- Where the current timeline begins: up to there this server has the log of the one it was promoted after. From its history file, which
-- only a superuser may read; else from the end of its recovery, which the control file keeps until the first checkpoint; else where the
-- log is now, which is later. Null where the server does not tell. Takes no locks.
create function pgqueue.timeline_begin() returns pg_lsn
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _name text;
  _found pg_lsn;
begin
  _name := left(pg_walfile_name(pg_current_wal_insert_lsn()), 8);
  begin
    select (regexp_match(l, '^\s*\d+\s+([0-9A-F]+/[0-9A-F]+)'))[1]::pg_lsn into _found
    from regexp_split_to_table(pg_read_file('pg_wal/' || _name || '.history', true), '\n') with ordinality as h (l, place)
    where l ~ '^\s*\d+\s+[0-9A-F]+/' order by place desc limit 1;
  exception when insufficient_privilege or feature_not_supported or undefined_function or undefined_file then
    _found := null;
  end;
  return coalesce(_found,
    (select r.min_recovery_end_lsn from pg_control_recovery() r
     where r.min_recovery_end_timeline = ('x' || _name)::bit(32)::integer and r.min_recovery_end_lsn > '0/0'),
    pg_current_wal_insert_lsn());
exception when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
  return null;
end $$;
