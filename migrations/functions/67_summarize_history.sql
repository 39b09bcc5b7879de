-- Makes the summaries of the BRIN indexes by time for the pages of a day's history that have been filled, so that a fold reads the newest rows and
-- not all since the last vacuum: autosummarize asks autovacuum, which comes once a minute and forgets what it cannot note. At most 500
-- ranges of 32 pages a table and call; returns how many it made. The last range, which is being filled, stays without one: then inserting costs
-- nothing more. With its owner's rights, as only owners may. Does without while vacuum has the table.
-- Locks: the day's tables, SHARE UPDATE EXCLUSIVE, for 20 ms at most until it has them.
create function pgqueue.summarize_history(day date) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '20ms' as $$
#variable_conflict use_variable
declare
  _range_pages constant bigint := 32;  -- pages_per_range of the indexes
  _state record;
  _table regclass;
  _index regclass;
  _done bigint;
  _ranges bigint;
  _made bigint := 0;
begin
  select case when s.summarized_day = day then s.finished_ranges else 0 end as finished,
         case when s.summarized_day = day then s.attempts_ranges else 0 end as attempts
  into strict _state from pgqueue.statistics_state s;
  foreach _table in array array[to_regclass(format('%I.%I', pgqueue.schema_name(), 'finished_jobs' || to_char(day, '_YYYYMMDD'))),
                                to_regclass(format('%I.%I', pgqueue.schema_name(), 'job_attempts' || to_char(day, '_YYYYMMDD')))] loop
    continue when _table is null;
    _done := case when _table::text like '%finished_jobs%' then _state.finished else _state.attempts end;
    _ranges := least(pg_relation_size(_table) / current_setting('block_size')::bigint / _range_pages - 1, _done + 500);
    continue when _ranges <= _done;
    select i.indexrelid::regclass into _index
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
    where i.indrelid = _table and a.amname = 'brin';
    begin
      perform brin_summarize_range(_index, r * _range_pages) from generate_series(_done, _ranges - 1) r;
      _made := _made + _ranges - _done;
      if _table::text like '%finished_jobs%' then
        _state.finished := _ranges;
      else
        _state.attempts := _ranges;
      end if;
    exception when lock_not_available or deadlock_detected then
      null;  -- vacuum has it, and makes them itself
    end;
  end loop;
  update pgqueue.statistics_state s set summarized_day = day, finished_ranges = _state.finished, attempts_ranges = _state.attempts
  where (s.summarized_day, s.finished_ranges, s.attempts_ranges) is distinct from (day, _state.finished, _state.attempts);
  return _made;
end $$;
