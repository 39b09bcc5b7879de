-- Puts dead jobs back into the queue one by one and returns the ids of those that moved. One that fails stays dead, gives back the key that
-- was taken for it, and is reported by a warning. Locks: as requeue_dead.
create function pgqueue.requeue_dead_singly(ids bigint[]) returns bigint[]
language plpgsql as $$
declare
  _id bigint;
  _moved bigint[] := '{}';
begin
  foreach _id in array ids loop
    begin
      perform pgqueue.requeue_dead(array[_id], clock_timestamp());
      _moved := _moved || _id;
    exception when others then
      raise warning 'job % stays dead: % (%)', _id, sqlerrm, sqlstate;
      delete from pgqueue.job_keys k using pgqueue.dead_jobs d where d.id = _id and k.queue = d.queue and k.key = d.key and k.job_id = _id;
    end;
  end loop;
  return _moved;
end $$;
