-- The row of `why` for a job that has ended; none when there is no such job.
create function pgqueue.why_ended(id bigint) returns table (gate text, detail text)
language sql stable as $$
  select 'finished', format('it is dead since %s, after attempt %s (%s): `pgq jobs show %s` has the evidence, `pgq jobs retry %s` runs it again',
                            pgqueue.told_time(d.died_at), d.attempt, coalesce(d.error ->> 'type', 'no error given'), d.id, d.id)
  from pgqueue.dead_jobs d where d.id = why_ended.id
  union all
  select 'finished', case when f.succeeded then format('it succeeded at %s, with attempt %s', pgqueue.told_time(f.finished_at), f.attempt)
                          else format('it was cancelled at %s (%s): `pgq jobs retry %s` runs it again', pgqueue.told_time(f.finished_at),
                                      coalesce(left(f.error ->> 'message', 200), 'on request'), f.id) end
  from pgqueue.finished_jobs f where f.id = why_ended.id
$$;
