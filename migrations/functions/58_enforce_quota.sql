-- The trigger of queues that have a quota: refuses a new job when its queue holds as many unfinished ones as it may. It is on queued_jobs only while
-- some queue has a quota, and its condition names those queues: others pay a comparison, and without quotas nobody pays anything.
-- Counting at each insert would cost as much as the queue is long, and a counter in a row would make producers wait for one another's transactions.
-- So each new job draws a ticket from a sequence, which no transaction holds up: while it is within the quota there is room for certain, as the queue was
-- no longer when it was counted last and at most one job came for each ticket. Beyond it the queue is counted again, at most as often as costs a fiftieth
-- of the time (0.1 us a job), and the tickets go on from there.
-- Not exact in one direction: jobs of transactions that were open while it was counted are not seen, so it may hold so many more. Jobs that come
-- back (retry, redrive) are let in. A ticket drawn in vain (a rollback) is found by the next count.
-- Raises PQ007. Locks: nothing.
create function pgqueue.enforce_quota() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
  _now_us constant bigint := extract(epoch from clock_timestamp()) * 1000000;
  _most bigint;
  _tickets text;
  _counted text;
  _depth bigint;
begin
  select q.max_depth, format('%I.%I', pgqueue.schema_name(), 'quota_tickets_' || q.number), format('%I.%I', pgqueue.schema_name(), 'quota_counted_' || q.number)
  into _most, _tickets, _counted from pgqueue.queue_quotas q where q.queue = new.queue;
  if not found or nextval(_tickets) <= _most then
    return new;
  end if;
  if _now_us - coalesce(pg_sequence_last_value(_counted::regclass), 0) >= 5 * _most then
    perform setval(_counted, _now_us);
    select count(*) into _depth from (select from pgqueue.queued_jobs j where j.queue = new.queue limit _most) j;
    perform setval(_tickets, _depth + 1);
    if _depth < _most then
      return new;
    end if;
  end if;
  raise exception using errcode = 'PQ007',
    message = format('cannot enqueue task %L: queue %L is full, it may hold %s unfinished jobs; try again later, or raise its max_depth', left(new.task, 100), new.queue, _most);
end $$;

-- Sets or (0) takes away a queue's quota; returns whether anything changed. With its owner's rights, as it makes sequences and the trigger. That takes a
-- lock which all inserts and claims would queue behind, so it tries again and again for 200 ms each time, for 20 seconds; then it raises 55P03 and nothing
-- has changed. Locks: the quotas, then queued_jobs (until the caller's transaction ends: commit soon).
create function pgqueue.set_quota(queue text, max_depth bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' as $$
#variable_conflict use_variable
declare
  _number integer;
  _old bigint;
  _queues text;
begin
  lock table pgqueue.queue_quotas in share row exclusive mode;
  select q.max_depth, q.number into _old, _number from pgqueue.queue_quotas q where q.queue = set_quota.queue;
  if nullif(max_depth, 0) is not distinct from _old then
    return false;
  elsif _old is not null and max_depth > 0 then
    update pgqueue.queue_quotas q set max_depth = set_quota.max_depth where q.queue = set_quota.queue;
    return true;
  end if;
  for _try in 1 .. 60 loop
    begin
      lock table pgqueue.queued_jobs in share row exclusive mode;
      exit;
    exception when lock_not_available then
      if _try = 60 then
        raise exception using errcode = '55P03',
          message = format('the quota of queue %L was not changed: transactions with jobs are open all the time; try again when fewer are', queue);
      end if;
      perform pg_sleep(0.1 + random() * 0.1);
    end;
  end loop;
  if max_depth > 0 then
    insert into pgqueue.queue_quotas as q (queue, max_depth) values (queue, max_depth) returning q.number into _number;
    execute format('create sequence %1$I.%2$I owned by %1$I.queue_quotas.max_depth', pgqueue.schema_name(), 'quota_tickets_' || _number);
    execute format('create sequence %1$I.%2$I owned by %1$I.queue_quotas.max_depth', pgqueue.schema_name(), 'quota_counted_' || _number);
    perform setval(format('%I.%I', pgqueue.schema_name(), 'quota_tickets_' || _number), max_depth);  -- what is there is counted at the first insert
  else
    delete from pgqueue.queue_quotas q where q.queue = set_quota.queue;
    execute format('drop sequence %1$I.%2$I, %1$I.%3$I', pgqueue.schema_name(), 'quota_tickets_' || _number, 'quota_counted_' || _number);
  end if;
  select string_agg(quote_literal(q.queue), ', ' order by q.queue) into _queues from pgqueue.queue_quotas q;
  if _queues is null then
    execute format('drop trigger enforce_quota on %I.queued_jobs', pgqueue.schema_name());
  else
    execute format('create or replace trigger enforce_quota before insert on %1$I.queued_jobs for each row when (new.attempt = 0 and new.queue in (%2$s)) execute function %1$I.enforce_quota()',
                   pgqueue.schema_name(), _queues);
  end if;
  return true;
end $$;
