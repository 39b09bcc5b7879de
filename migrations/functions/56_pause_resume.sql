-- Stops claims from a queue; running jobs go on. Returns whether it was not paused before. Locks: the queue's row.
create function pgqueue.pause(queue text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(pause.queue, '') = '' then
    raise exception using errcode = 'PQ004', message = 'pause: the queue must have a name';
  end if;
  insert into pgqueue.paused_queues (queue, paused_at) values (pause.queue, clock_timestamp()) on conflict do nothing;
  return found;
end $$;

-- Lets claims from a queue go on, and wakes its workers. Returns whether it was paused. Locks: the queue's row.
create function pgqueue.resume(queue text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from pgqueue.paused_queues p where p.queue = resume.queue;
  if found then
    perform pgqueue.wake(resume.queue);
    return true;
  end if;
  return false;
end $$;
