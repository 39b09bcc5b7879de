-- How many due jobs of a queue are claimed before one that is due, up to 10,000: by priority, then run_at, then id; with aging, each
-- `aging` of waiting counts as one priority. One range of the claim's index for each priority that the queue has.
create function pgqueue.jobs_ahead(queue text, priority smallint, run_at timestamptz, id bigint, at timestamptz) returns bigint
language plpgsql stable as $$
#variable_conflict use_column
declare
  _aging interval;
begin
  select p.aging into _aging from pgqueue.queue_policies p where p.queue = jobs_ahead.queue;
  return (select count(*) from (
    select from (
      select m.priority,
             case when m.priority = jobs_ahead.priority then jobs_ahead.run_at
                  when _aging is null then case when m.priority < jobs_ahead.priority then 'infinity' else '-infinity' end::timestamptz
                  else jobs_ahead.run_at + (jobs_ahead.priority - m.priority) * _aging end as run_at
      from unnest(pgqueue.priorities(queue)) as m (priority)) m,
    lateral (select from pgqueue.queued_jobs q
             where q.queue = jobs_ahead.queue and q.priority = m.priority and not q.suspect and q.worker_id is null
               and q.run_at <= jobs_ahead.at and (q.run_at, q.id) < (m.run_at, jobs_ahead.id) limit 10000) a
    limit 10000) a);
end $$;
