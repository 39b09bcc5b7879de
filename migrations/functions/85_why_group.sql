-- The row of `why` for a job whose group's turn another job has, or gets before it (see gate_groups).
create function pgqueue.why_group(id bigint, queue text, group_key text, run_at timestamptz, at timestamptz) returns table (gate text, detail text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  _holder bigint;
  _ahead bigint;
begin
  if exists (select from pgqueue.permits p where p.job_id = why_group.id and p.kind = 'group') then
    return;
  end if;
  _holder := (select p.job_id from pgqueue.permits p where p.kind = 'group' and p.name = why_group.queue and p.key = why_group.group_key order by p.job_id limit 1);
  _ahead := (select count(*) from (
    select from pgqueue.lane_waits w
    where w.kind = 'group' and w.name = why_group.queue and w.key = why_group.group_key and w.priority = 0 and w.job_id < why_group.id limit 10000) a);
  if _holder is null and _ahead = 0 and (run_at < 'infinity' or not exists (select from pgqueue.lane_waits w where w.job_id = why_group.id and w.kind = 'group')) then
    return;
  end if;
  return query select 'group', format('group %L runs one job at a time, and %s; %s before it in the line%s', group_key,
    case when _holder is null then 'the next claim or housekeeping gives the turn to the first in its line'
         else format('its turn is with job %s, which %s', _holder, pgqueue.told_job(_holder, at)) end,
    pgqueue.told_count(_ahead, 'job', 'jobs'),
    case when _holder is not null then format('; see `pgq why %s`', _holder) else '' end);
end $$;
