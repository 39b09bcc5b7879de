-- Adds what attempts came to since the last fold to the statistics: by minute, queue and task, and in all. Returns how many attempts it
-- added, null when another session is at it. Reads the history itself (finished_jobs, job_attempts, dead_jobs with their evidence), so that
-- enqueue, claim and settle pay nothing: what ended between the mark (statistics_state.folded_to) and `lag` ago, through the BRIN indexes, for which
-- it makes the summaries first. The mark moves in the same transaction: each attempt counts once, whoever calls, whoever dies (held by
-- tests/sql/test_statistics.py against the view attempts). Missed is what was not there to be read when its time was folded: what was
-- committed more than `lag` after it ended (a handler's own transaction that stays open after ctx.complete, a cancel in a long transaction),
-- and what was removed before. Waits are those of attempts that ended their job: of others the history does not know when they were due.
-- Run times are those of handlers that ended by themselves, so not of lost and released attempts.
-- The first fold begins 10 minutes ago; after a pause of more than a day the fold goes back a day.
-- Each call takes about a tenth of a second at most: windows grow and shrink by how many attempts the last one had. Once a minute it takes the sample of
-- depths too, and deletes what is older than 7 days, at most 20,000 rows at a time.
-- A clock that ran ahead and was set back leaves marks in the future: of more than 10 minutes they are taken back to now, and minutes that were not
-- yet are deleted (their attempts stay in the totals, and count once more should that time come while the history has them); of less, the fold waits until the time has come.
-- Locks: one advisory lock of this installation, only tried; rows of the statistics, which nobody else changes.
create function pgqueue.fold_statistics(lag interval default '5 s') returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _began constant timestamptz := clock_timestamp();
  _end constant timestamptz := _began - lag;
  _ahead constant interval := '10 minutes';
  _attempts bigint := 0;
  _from timestamptz;
  _to timestamptz;
  _stretch double precision;
  _read bigint;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'statistics', 20261122)) then
    return null;
  end if;
  if exists (select from pgqueue.statistics_state s where greatest(s.folded_to, s.sampled_minute) > _began + _ahead) then
    delete from pgqueue.statistics_minutes m where m.minute > _began;
    delete from pgqueue.depth_minutes m where m.minute > _began;
    delete from pgqueue.overall_minutes m where m.minute > _began;
    update pgqueue.statistics_state s
    set folded_to = least(s.folded_to, _end), sampled_minute = least(s.sampled_minute, date_trunc('minute', _began, 'UTC'));
  end if;
  select greatest(s.folded_to, _end - case when s.folded_to = '-infinity' then interval '10 minutes' else interval '1 day' end), s.stretch_seconds into strict _from, _stretch from pgqueue.statistics_state s;
  if _from < _end then
    perform pgqueue.summarize_history((_end at time zone 'UTC')::date);
  end if;
  while _from < _end and clock_timestamp() < _began + interval '80 ms' loop
    _to := least(_end, _from + make_interval(secs => _stretch));
    _read := pgqueue.fold_window(_from, _to);
    _attempts := _attempts + _read;
    -- By rows, not by time: on a machine that is slow for other reasons, smaller windows would only make more of them.
    _stretch := least(greatest(case when _read > 60000 then _stretch / 2 when _read < 20000 and _to < _end then _stretch * 2 else _stretch end, 0.25), 3600);
    _from := _to;
  end loop;
  update pgqueue.statistics_state s set folded_to = _from, stretch_seconds = _stretch;
  perform pgqueue.sample_depths(date_trunc('minute', _began, 'UTC'));
  return _attempts;
end $$;
