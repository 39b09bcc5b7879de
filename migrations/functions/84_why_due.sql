-- The row of `why` for a job that is due later: at once, after a failure, or because its handler said so.
create function pgqueue.why_due(id bigint, run_at timestamptz, failures integer, created_at timestamptz, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _last record;
begin
  select t.outcome, t.error into _last from pgqueue.job_attempts t
  where t.job_id = why_due.id and t.logged_at >= why_due.created_at order by t.attempt desc limit 1;
  return query select 'due', format('%s %s, in %s; `pgq jobs retry %s` makes it due now',
    case _last.outcome
      when 'failed' then format('it waits for its retry after failure %s (%s), due at', failures, coalesce(_last.error ->> 'type', 'no error given'))
      when 'snoozed' then 'its handler has put it off until'
      else 'it is due at'
    end, pgqueue.told_time(run_at), pgqueue.told_span(run_at - at), id);
end $$;
