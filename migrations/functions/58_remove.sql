-- Deletes a finished or dead job with its arguments, attempts, log lines, steps and, if it still holds one for a period, its key. Returns the state it
-- was in. Raises PQ001 unknown job; PQ003 when it is unfinished, or a job of its flow waits for its retry. Looks again when the job has moved between two looks.
-- Locks: the job's row, then what belongs to it.
create function pgqueue.remove(id bigint) returns text
language plpgsql as $$
#variable_conflict use_column
declare
  _state text;
  _job record;
begin
  if exists (select from pgqueue.flow_nodes p join pgqueue.flow_links l on l.parent_id = p.id
             where p.id = remove.id and pgqueue.breaches(l.condition, p.outcome) > 0
               and (select c.blocked from pgqueue.flow_nodes c where c.id = l.child_id)) then
    raise exception using errcode = 'PQ003', message = format('job %s cannot be removed: another job waits until it is retried; cancel that one first', id);
  end if;
  loop
    _state := pgqueue.stored_state(remove.id);
    if _state is null then
      perform pgqueue.unknown_job(remove.id);
    elsif _state = 'dead' then
      delete from pgqueue.dead_jobs d where d.id = remove.id returning d.queue, d.key into _job;
      exit when found;
    elsif _state in ('succeeded', 'cancelled') then
      delete from pgqueue.finished_jobs f where f.id = remove.id returning f.queue, f.key into _job;
      exit when found;
    else
      raise exception using errcode = 'PQ003', message = format('job %s is %s: cancel it first, or wait until it ends', id, _state);
    end if;
  end loop;
  delete from pgqueue.job_args a where a.id = remove.id;
  delete from pgqueue.job_attempts t where t.job_id = remove.id;
  delete from pgqueue.attempt_lines l where l.job_id = remove.id;
  delete from pgqueue.job_steps s where s.job_id = remove.id;
  delete from pgqueue.job_keys k where k.queue = _job.queue and k.key = _job.key and k.job_id = remove.id;
  delete from pgqueue.cancel_requests c where c.job_id = remove.id;
  return _state;
end $$;
