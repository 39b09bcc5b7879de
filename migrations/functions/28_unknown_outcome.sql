-- Refuses an outcome that settle does not know: passing it by would leave its job running for ever. Raises PQ004.
create function pgqueue.unknown_outcome(outcome text) returns text
language plpgsql as $$
begin
  raise exception using errcode = 'PQ004', message = format('settle: unknown outcome %L', left(outcome, 100)),
    hint = 'The outcomes are succeeded, failed, dead, cancelled, expired, snoozed, released and lost.';
end $$;
