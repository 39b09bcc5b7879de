-- Written by freeze.py: change the parts and freeze again, until it is released.
-- functions/90_privileges.sql
-- Nobody may call our functions by default: PostgreSQL lets PUBLIC execute new ones.
revoke execute on all functions in schema pgqueue from public;
-- functions/90_grant_roles.sql
-- gone
drop function pgqueue.grant_roles;
drop function pgqueue.role_rights;
-- functions/87_retry_flow.sql
-- Runs again what a flow lacks: its dead and cancelled jobs, and the barriers and callbacks that ended because of them, each waiting for its
-- parents as in the beginning. What has succeeded stays, callbacks that were called are not called again, and of a saga that was
-- given up only the undos that failed run again. Returns how many jobs were put back.
-- A job that cannot be retried (its key is held by another, retention has dropped its arguments) is told in a warning and stays.
-- Raises PQ001 unknown flow. Locks: the flow, then as retry, job by job along the links.
create or replace function pgqueue.retry_flow(flow_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _node record;
  _kind text;
  _plain bigint[];
  _dead bigint[];
  _cancelled bigint[];
  _back bigint[] := '{}';
begin
  update pgqueue.job_flows f set cancelled_at = null where f.id = retry_flow.flow_id returning f.kind into _kind;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  if _kind <> 'saga' then  -- what waits for nobody, as members of a batch do, goes at once: no order is to be kept
    _plain := array(select n.id from pgqueue.flow_nodes n
                    where n.flow_id = retry_flow.flow_id and n.outcome in ('dead', 'cancelled') and n.is_job
                      and not exists (select from pgqueue.flow_links l where l.child_id = n.id));
    _dead := array(select d.id from pgqueue.dead_jobs d
                   where d.id = any (_plain) and d.key is null and exists (select from pgqueue.job_args a where a.id = d.id and a.day = d.args_day)
                   order by d.id for update of d);
    _cancelled := array(select f.id from pgqueue.finished_jobs f
                        where f.id = any (_plain) and not f.succeeded and f.key is null
                          and exists (select from pgqueue.job_args a where a.id = f.id and a.day = f.args_day)
                        order by f.id for update of f);
    perform pgqueue.requeue_dead(_dead, _at) where _dead <> '{}';
    perform pgqueue.requeue_cancelled(_cancelled, _at) where _cancelled <> '{}';
    _back := _dead || _cancelled;
  end if;
  for _node in
    select n.id, n.is_job, n.role, n.outcome from pgqueue.flow_nodes n
    where n.flow_id = retry_flow.flow_id and n.outcome in ('dead', 'cancelled', 'skipped') order by n.rank, n.id
  loop
    continue when _kind = 'saga' and _node.role <> 'undo';
    continue when _node.role in ('on_success', 'on_done', 'on_failed')
      and exists (select from pgqueue.jobs j where j.id = _node.id and j.attempt > 0);
    continue when _node.outcome = 'skipped' and pgqueue.skips(_node.id);
    begin
      if _node.is_job then
        perform pgqueue.retry(_node.id);
        _back := _back || _node.id;
      else
        perform pgqueue.reopen_nodes(array[_node.id], _at);
      end if;
    exception when sqlstate 'PQ001' or sqlstate 'PQ002' or sqlstate 'PQ003' then
      raise warning 'flow %: % (%)', flow_id, sqlerrm, sqlstate;
    end;
  end loop;
  update pgqueue.flow_nodes n set patient = false where n.flow_id = retry_flow.flow_id and n.patient and n.outcome is null;
  return cardinality(_back);
end $$;
-- functions/86_cancel_flow.sql
-- Cancels what is unfinished of a flow, and returns how many jobs that were: waiting ones end at once, running ones are told to stop, as by
-- cancel. Of a saga the steps are cancelled, and what they did is undone. Raises PQ001 unknown flow.
-- Locks: the flow, all its unfinished nodes by (rank, id), then the waiting jobs in id order that it can have at once (a request is left for
-- the others), then their keys and lanes. It waits for settles, and for a transaction that is adding to the flow.
create or replace function pgqueue.cancel_flow(flow_id bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _reason constant text := 'its flow was cancelled';
  _kind text;
  _ids bigint[];
  _waiting bigint[];
  _blocked bigint[];
  _asked bigint[];
  _id bigint;
begin
  update pgqueue.job_flows f set cancelled_at = coalesce(f.cancelled_at, _at) where f.id = cancel_flow.flow_id returning f.kind into _kind;
  if not found then
    perform pgqueue.unknown_flow(flow_id);
  end if;
  perform pgqueue.ensure_day(_at);
  perform from pgqueue.flow_nodes n where n.flow_id = cancel_flow.flow_id and n.outcome is null order by n.rank, n.id for no key update;
  _ids := array(select n.id from pgqueue.flow_nodes n
                where n.flow_id = cancel_flow.flow_id and n.outcome is null and n.is_job and (_kind <> 'saga' or n.role <> 'undo'));
  _waiting := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) and j.worker_id is null order by j.id for update skip locked);
  _asked := array(select j.id from pgqueue.queued_jobs j where j.id = any (_ids) except select unnest(_waiting) order by 1);
  _blocked := array(select n.id from pgqueue.flow_nodes n where n.id = any (_waiting) and n.blocked);
  update pgqueue.flow_nodes n set outcome = 'cancelled', ended_at = _at, blocked = false where n.id = any (_waiting);
  perform pgqueue.end_blocked(_blocked, _at, _reason);
  perform pgqueue.advance_nodes(_waiting, '{}', _at);
  update pgqueue.queued_jobs j set linked = false where j.id = any (_waiting);  -- those that are left; their children have been told
  foreach _id in array array(select j.id from pgqueue.queued_jobs j where j.id = any (_waiting) order by j.id) loop
    perform pgqueue.cancel_waiting(_id, _at, _reason);
  end loop;
  insert into pgqueue.cancel_requests (job_id, requested_at) select a, _at from unnest(_asked) a on conflict do nothing;
  perform pg_notify(pgqueue.wake_channel(null), '') where _asked <> '{}';
  perform pgqueue.wake('');
  return cardinality(_waiting) + cardinality(_asked);
end $$;

-- Raises PQ001, for an id that no flow has.
create or replace function pgqueue.unknown_flow(id bigint) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'PQ001',
    message = format('there is no flow %s: it never existed, its transaction was rolled back, or retention has dropped it', id);
end $$;
-- functions/84_enqueue_flow.sql
-- Enqueues a flow in the caller's transaction: all its jobs exist, those that wait for others too, exactly when that commits (I1). Returns its
-- id, and the ids of its entries in their order. `flow` is {"kind": chain|group|dag|batch|saga, "name": text, "jobs": [entry, ...]}.
-- An entry is a job, with the names of enqueue's arguments, or {"barrier": true}, which is no job and ends by itself. And:
--   after       what it waits for: places in the array (from 0), {"index": place, "when": ...} or {"id": a job or barrier, "when": ...};
--               when: succeeded (default), ended (however), failed (it runs only if such a parent failed), not_failed (succeeded or
--               skipped), if_succeeded (else it is skipped)
--   on_failure  when a parent did not succeed that should have: cancel (default), dead, or wait until the parent was retried and succeeded
--   name, role  labels; roles with a meaning: undo and on_success are skipped where others fail; undo waits on failure
--   verdict     of a barrier: it fails when any of its parents failed, by whatever condition it waits for them
--   gather      for many parents: it is counted without holding them up; set by itself from 100 parents on
-- Raises PQ001 unknown parent, PQ002 a key is held by another job, PQ004 invalid argument, a cycle too; then nothing is added. Locks: as add_nodes.
create or replace function pgqueue.enqueue_flow(flow jsonb) returns table (flow_id bigint, ids bigint[])
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _error text;
begin
  _error := case
    when flow is null or jsonb_typeof(flow) <> 'object' then format('enqueue_flow: must be an object with kind, name and jobs, got %s', coalesce(jsonb_typeof(flow), 'null'))
    when flow - array['kind', 'name', 'jobs'] <> '{}' then
      format('enqueue_flow: unknown name %s; the names are kind, name, jobs', (select string_agg(k, ', ') from jsonb_object_keys(flow - array['kind', 'name', 'jobs']) k))
    when coalesce(flow ->> 'kind', 'dag') not in ('chain', 'group', 'dag', 'batch', 'saga') then
      format('enqueue_flow: kind must be chain, group, dag, batch or saga, got %L', left(flow ->> 'kind', 100))
    when jsonb_typeof(flow -> 'name') not in ('string', 'null') or octet_length(flow ->> 'name') > 500 then 'enqueue_flow: name must be a string of at most 500 bytes'
    when coalesce(jsonb_typeof(flow -> 'jobs'), 'null') <> 'array' then 'enqueue_flow: jobs must be an array of objects'
    end;
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  flow_id := nextval('pgqueue.job_ids');
  insert into pgqueue.job_flows (id, kind, name, created_at) values (flow_id, coalesce(flow ->> 'kind', 'dag'), flow ->> 'name', _now);
  ids := pgqueue.add_nodes(flow_id, flow -> 'jobs', null, _now);
  return next;
end $$;
-- functions/82_drop_day.sql
-- gone
drop function pgqueue.drop_day;
-- functions/80_expired_days.sql
-- The daily partitions that retention does not keep, oldest first, with their parents (null for one that was detached and not
-- dropped) and whether detaching was begun and not ended. Arguments are kept a day longer than history.
create or replace function pgqueue.expired_days() returns table (parent text, partition text, day date, pending boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with kept as (
    select ((clock_timestamp() - s.retention) at time zone 'UTC')::date as since from pgqueue.settings s
  ), days as (
    select p.relname::text as parent, c.relname::text as partition, to_date(right(c.relname, 8), 'YYYYMMDD') as day,
           coalesce(i.inhdetachpending, false) as pending
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_inherits i on i.inhrelid = c.oid
    left join pg_catalog.pg_class p on p.oid = i.inhparent
    where n.nspname = pgqueue.schema_name() and c.relkind = 'r'
      and c.relname ~ '^(finished_jobs|job_attempts|job_args)_[0-9]{8}$'
  )
  select d.parent, d.partition, d.day, d.pending
  from days d, kept k
  where d.day < k.since - case when d.partition like 'job_args%' then 1 else 0 end
  order by d.day, d.partition
$$;
-- functions/77_view_partitions.sql
-- gone
drop view pgqueue.partitions;
-- functions/76_view_unknown_tasks.sql
-- gone
drop view pgqueue.unknown_tasks;
-- functions/76_view_audit.sql
-- gone
drop view pgqueue.audit;
-- functions/75_view_flows.sql
drop view pgqueue.flow_jobs;
drop view pgqueue.flows;
-- Every flow, until retention drops it, with its jobs counted by what became of them (barriers are no jobs). Counted when asked, from the
-- flow's own nodes, so that no completion pays for it. A flow that cannot go on by itself, because what is left waits for an
-- operator's retry, has failed too.
create or replace view pgqueue.flows as
select f.id, f.kind, f.name, f.created_at,
       case when c.unfinished > 0 then case when c.failed + c.cancelled > 0 and c.unfinished = c.stuck then 'failed' else 'running' end
            when f.cancelled_at is not null then 'cancelled'
            when c.failed + c.cancelled > 0 then 'failed' else 'succeeded' end as state,
       c.total, c.succeeded, c.failed, c.cancelled, c.running, c.unfinished - c.running as waiting, c.skipped, f.cancelled_at,
       case when c.unfinished = 0 then c.ended_at end as finished_at
from pgqueue.job_flows f,
lateral (
  select count(*) as total, count(*) filter (where n.outcome = 'succeeded') as succeeded, count(*) filter (where n.outcome = 'dead') as failed,
         count(*) filter (where n.outcome = 'cancelled') as cancelled, count(*) filter (where n.outcome = 'skipped') as skipped,
         count(*) filter (where n.outcome is null) as unfinished, count(*) filter (where n.outcome is null and n.blocked) as stuck,
         count(*) filter (where n.outcome is null and not n.blocked
                          and exists (select from pgqueue.queued_jobs j where j.id = n.id and j.worker_id is not null)) as running,
         max(n.ended_at) as ended_at
  from pgqueue.flow_nodes n where n.flow_id = f.id and n.is_job
) c;

-- Every node of a flow, jobs and barriers (without a task), in the order in which they were given; `after` are the nodes it waits for.
create or replace view pgqueue.flow_jobs as
select n.flow_id, n.id, n.name, n.role, n.task,
       coalesce(n.outcome, case when n.blocked then 'blocked' end,
                (select case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked'
                             when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end
                 from pgqueue.queued_jobs j where j.id = n.id)) as state,
       array(select l.parent_id from pgqueue.flow_links l where l.child_id = n.id order by l.place, l.parent_id) as after,
       n.ended_at, n.result
from pgqueue.flow_nodes n
where n.flow_id is not null;
-- functions/74_view_worker_incidents.sql
-- gone
drop view pgqueue.worker_incidents;
-- functions/74_view_steps.sql
drop view pgqueue.steps;
-- Steps that jobs have stored (ctx.step), with the attempt that ran each.
create or replace view pgqueue.steps as
select s.job_id, s.name, s.attempt, s.stored_at, s.result
from pgqueue.job_steps s;
-- functions/74_view_schedules.sql
drop view pgqueue.schedules;
-- Every schedule. next_at is null while it is paused, for a second after it was made, and while `error` says why it cannot tick.
create or replace view pgqueue.schedules as
select s.name, s.task, s.cron, s.timezone, s.paused_at is not null as paused, s.last_at, s.next_at,
       s.every, s.jitter, s.missed, s.missed_limit, s.overlap, s.queue, s.priority, s.args, s.meta, s.limits, s.last_job_id,
       s.declared is not null as in_code, s.error
from pgqueue.job_schedules s;
-- functions/73_view_workers.sql
drop view pgqueue.workers;
-- Every worker process, the lost ones of the last day too: alive while its heartbeat is younger than its lease.
create or replace view pgqueue.workers as
select w.id, w.host, w.pid, w.queues, w.tasks, w.concurrency, w.running, w.started_at, w.heartbeat_at,
       w.lost_at is null and w.heartbeat_at + w.lease >= now() as alive
from pgqueue.worker_processes w;
-- functions/72_view_queues.sql
drop view pgqueue.queues;
-- Every queue that has jobs, is paused, or is served by a worker: one count per state (finished ones of the last 5 minutes are
-- in the rates only), how long its oldest due job has waited, and jobs a minute over the last 5 minutes.
create or replace view pgqueue.queues as
with unfinished as (
  select j.queue,
         count(*) filter (where j.worker_id is not null) as running,
         count(*) filter (where j.worker_id is null and j.run_at <= now()) as ready,
         count(*) filter (where j.worker_id is null and j.run_at > now() and j.run_at < 'infinity') as scheduled,
         count(*) filter (where j.worker_id is null and j.run_at = 'infinity') as blocked,
         min(j.run_at) filter (where j.worker_id is null and j.run_at <= now()) as oldest_due
  from pgqueue.queued_jobs j group by j.queue
), finished as (
  select f.queue, count(*) filter (where f.succeeded) as succeeded, count(*) filter (where not f.succeeded) as cancelled
  from pgqueue.finished_jobs f group by f.queue
), recent as (
  select f.queue, count(*) as done from pgqueue.finished_jobs f
  where f.finished_at > now() - interval '5 minutes' and f.succeeded group by f.queue
), dead as (
  select d.queue, count(*) as dead, count(*) filter (where d.died_at > now() - interval '5 minutes') as died from pgqueue.dead_jobs d group by d.queue
), failed as (
  select j.queue, count(*) as failed
  from pgqueue.job_attempts t join (select q.id, q.queue from pgqueue.queued_jobs q union all select f.id, f.queue from pgqueue.finished_jobs f) j on j.id = t.job_id
  where t.logged_at > now() - interval '5 minutes' and t.outcome in ('failed', 'lost') group by j.queue
), names as (
  select u.queue from unfinished u union select d.queue from dead d union select f.queue from finished f union select p.queue from pgqueue.paused_queues p
  union select unnest(w.queues) from pgqueue.worker_processes w where w.lost_at is null
)
select n.queue, p.queue is not null as paused,
       coalesce(u.scheduled, 0) as scheduled, coalesce(u.blocked, 0) as blocked, coalesce(u.ready, 0) as ready, coalesce(u.running, 0) as running,
       coalesce(f.succeeded, 0) as succeeded, coalesce(f.cancelled, 0) as cancelled, coalesce(d.dead, 0) as dead,
       now() - u.oldest_due as oldest_due_age,
       round(coalesce(r.done, 0) / 5.0, 1) as throughput, round((coalesce(b.failed, 0) + coalesce(d.died, 0)) / 5.0, 1) as failures
from names n
left join pgqueue.paused_queues p on p.queue = n.queue
left join unfinished u on u.queue = n.queue
left join finished f on f.queue = n.queue
left join recent r on r.queue = n.queue
left join dead d on d.queue = n.queue
left join failed b on b.queue = n.queue;
-- functions/71_view_attempts.sql
drop view pgqueue.attempts;
-- Every attempt that came to an end, with its outcome; those that ended their job are told by its history row.
create or replace view pgqueue.attempts as
select t.job_id, t.attempt, t.worker_id, t.started_at, t.finished_at, t.outcome, t.error
from pgqueue.job_attempts t
union all
select f.id, f.attempt, f.worker_id, f.started_at, f.finished_at, case when f.succeeded then 'succeeded' else 'cancelled' end, f.error
from pgqueue.finished_jobs f
where f.worker_id is not null
union all
select d.id, e.attempt, e.worker_id, e.started_at, e.finished_at, e.outcome, e.error
from pgqueue.dead_jobs d,
     jsonb_to_recordset(d.attempts) as e (attempt integer, worker_id bigint, started_at timestamptz, finished_at timestamptz, outcome text, error jsonb);
-- functions/71_view_attempt_logs.sql
-- gone
drop view pgqueue.attempt_logs;
-- functions/71_history_depths.sql
-- gone
drop function pgqueue.history_depths;
-- functions/70_view_jobs.sql
drop view pgqueue.jobs;
-- Every job, unfinished and finished alike, one row each, until retention drops it. To page through millions, query the physical tables.
-- A suspect was there when a worker died: it runs alone, and waits until some worker has nothing else or a process of its own.
create or replace view pgqueue.jobs as
select j.id, j.task, j.queue,
       case when j.worker_id is not null then 'running' when j.run_at = 'infinity' then 'blocked' when j.run_at > clock_timestamp() then 'scheduled' else 'ready' end as state,
       j.priority, a.args, a.meta, j.key, a.gates ->> 'group' as group_key, j.attempt, j.max_attempts, nullif(j.run_at, 'infinity') as run_at, j.created_at, j.started_at,
       null::timestamptz as finished_at, j.worker_id, p.fraction as progress, null::jsonb as result,
       case when j.failures > 0 or j.losses > 0 or j.suspect then
         (select t.error from pgqueue.job_attempts t where t.job_id = j.id and t.error is not null order by t.attempt desc limit 1)
       end as error,
       p.note as progress_note, j.failures, j.losses, j.expires_at, j.timeout, j.suspect
from pgqueue.queued_jobs j
left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
left join pgqueue.job_progress p on p.job_id = j.id and (j.token is null or p.token = j.token)
union all
select f.id, f.task, f.queue, case when f.succeeded then 'succeeded' else 'cancelled' end,
       f.priority, a.args, a.meta, f.key, a.gates ->> 'group', f.attempt, f.max_attempts, f.run_at, f.created_at, f.started_at,
       f.finished_at, f.worker_id, case when f.succeeded then 1 end, f.result, f.error,
       null, f.failures, f.losses, null, f.timeout, f.suspect
from pgqueue.finished_jobs f
left join pgqueue.job_args a on a.id = f.id and a.day = f.args_day
union all
select d.id, d.task, d.queue, 'dead',
       d.priority, a.args, a.meta, d.key, a.gates ->> 'group', d.attempt, d.max_attempts, d.run_at, d.created_at, d.started_at,
       d.died_at, d.worker_id, null, null, d.error,
       null, d.failures, d.losses, null, d.timeout, d.suspect
from pgqueue.dead_jobs d
left join pgqueue.job_args a on a.id = d.id and a.day = d.args_day;
-- functions/69_view_statistics.sql
-- gone
drop view pgqueue.overall_history;
drop view pgqueue.depth_history;
drop view pgqueue.statistics_totals;
drop view pgqueue.statistics;
-- functions/69_sample_depths.sql
-- gone
drop function pgqueue.sample_depths;
-- functions/69_fold_statistics.sql
-- gone
drop function pgqueue.fold_statistics;
-- functions/69_depths.sql
-- gone
drop function pgqueue.depths;
-- functions/69_bucket_bounds.sql
-- gone
drop function pgqueue.bucket_of;
drop function pgqueue.bucket_bounds;
-- functions/68_named_queues.sql
-- gone
drop function pgqueue.named_queues;
-- functions/68_fold_window.sql
-- gone
drop function pgqueue.fold_window;
drop function pgqueue.sum_buckets;
-- functions/67_summarize_history.sql
-- gone
drop function pgqueue.summarize_history;
-- functions/59_queue_policies.sql
drop function pgqueue.set_share;
drop function pgqueue.set_queue;
-- Says how a queue deals its jobs out; what is null stays as it is. Returns whether anything changed. When it stops being fair, the jobs
-- that waited for their key's share are due now. Raises PQ004. Locks: the policy's row, then as release_line.
--   fair   jobs with a fair_key take turns by the weights of their keys (set_share), whatever their number
--   aging  a job that has waited so long counts as one priority higher, and so on; '0' turns it off
create or replace function pgqueue.set_queue(queue text, fair boolean default null, aging interval default null) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _old pgqueue.queue_policies;
begin
  if octet_length(queue) between 1 and 200 is not true then
    raise exception using errcode = 'PQ004', message = format('set_queue: the queue must have a name of 1 to 200 bytes, got %s', coalesce(octet_length(queue), 0));
  elsif aging < '0' then
    raise exception using errcode = 'PQ004', message = format('set_queue: aging must be positive, or 0 to turn it off, got %s', aging);
  end if;
  insert into pgqueue.queue_policies (queue) values (queue) on conflict do nothing;
  select p.* into _old from pgqueue.queue_policies p where p.queue = set_queue.queue for update;
  if (_old.fair, _old.aging) is not distinct from (coalesce(fair, _old.fair), nullif(coalesce(aging, _old.aging), '0')) then
    return false;
  end if;
  update pgqueue.queue_policies p
  set fair = coalesce(set_queue.fair, p.fair), aging = nullif(coalesce(set_queue.aging, p.aging), '0') where p.queue = set_queue.queue;
  if _old.fair and not fair then
    perform pgqueue.release_line('fair', queue, clock_timestamp());
  end if;
  perform pgqueue.wake(queue);
  return true;
end $$;

-- Says how much of a fair queue a key gets, in proportion to the other keys that have work; a key that nobody spoke of has weight 1, and null
-- or 1 forgets it. Returns whether anything changed. Raises PQ004. Locks: the key's row.
create or replace function pgqueue.set_share(queue text, key text, weight integer) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  if octet_length(queue) between 1 and 200 is not true or octet_length(key) between 1 and 1000 is not true then
    raise exception using errcode = 'PQ004', message = 'set_share: give a queue and a key';
  elsif weight not between 1 and 1000 then
    raise exception using errcode = 'PQ004', message = format('set_share: weight must be from 1 to 1000, got %s', weight);
  end if;
  if coalesce(weight, 1) = 1 then
    delete from pgqueue.fair_weights w where w.queue = set_share.queue and w.key = set_share.key;
    return found;
  end if;
  insert into pgqueue.fair_weights as w (queue, key, weight) values (queue, key, weight)
  on conflict on constraint fair_weights_pkey do update set weight = excluded.weight where w.weight <> excluded.weight;
  return found;
end $$;
-- functions/59_note_action.sql
-- gone
drop function pgqueue.note_action;
-- functions/59_limit_rules.sql
-- What is wrong with a limit's rule, null when nothing is.
create or replace function pgqueue.limit_rule_error(name text, rate double precision, per interval, burst integer, concurrency integer) returns text
language sql immutable
return case
  when octet_length(name) between 1 and 200 is not true then format('limit: the name must have 1 to 200 bytes, got %s', coalesce(octet_length(name), 0))
  when num_nonnulls(rate, concurrency) = 0 then format('limit %L: give a rate or a concurrency, or both', name)
  when not (rate > 0 and rate < 'infinity') then format('limit %L: rate must be positive, got %s', name, rate)
  when per is null or per <= '0' or per > interval '366 days' then format('limit %L: per must be positive and at most 366 days, got %s', name, per)
  when burst is not null and rate is null then format('limit %L: burst belongs to a rate', name)
  when burst < 1 then format('limit %L: burst must be at least 1, got %s', name, burst)
  when concurrency < 1 then format('limit %L: concurrency must be at least 1, got %s', name, concurrency)
end;

-- Makes a limit, or gives an existing one this rule: an argument left out is its default, not what it was. Returns created, changed or
-- unchanged. The rule holds at once: who waits for the old one is due now, in its old order. What runs goes on; it counts if the old
-- rule counted it. Raises PQ004. Locks: the rule's row, then as release_line. A death leaves all of it or nothing.
--   rate, per    so many grants per interval, for each key by itself       burst  how many at once; null: a tenth of a second's, at least 1
--   concurrency  at most so many running jobs, for each key by itself
create or replace function pgqueue.set_limit(name text, rate double precision default null, per interval default '1 s', burst integer default null,
  concurrency integer default null) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  return pgqueue.save_limit(name, rate, per, burst, concurrency, null);
end $$;

-- The common part of set_limit and declare_limits. `declared` is what the code says, null for an operator's edit.
create or replace function pgqueue.save_limit(name text, rate double precision, per interval, burst integer, concurrency integer, declared jsonb) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _at constant timestamptz := clock_timestamp();
  _error constant text := pgqueue.limit_rule_error(name, rate, per, burst, concurrency);
  _old pgqueue.limit_rules;
begin
  if _error is not null then
    raise exception using errcode = 'PQ004', message = _error;
  end if;
  loop
    insert into pgqueue.limit_rules (name, rate, per, burst, concurrency, declared, changed_at)
    values (name, rate, per, burst, concurrency, declared, _at) on conflict do nothing;
    if found then
      perform pgqueue.release_line('limit', name, _at);
      return 'created';
    end if;
    select r.* into _old from pgqueue.limit_rules r where r.name = save_limit.name for update;
    exit when found;  -- else it was dropped in between
  end loop;
  if _old.declared = declared then
    return 'unchanged';  -- an operator's edit since then stays
  end if;
  if (_old.rate, _old.per, _old.burst, _old.concurrency) is not distinct from (rate, per, burst, concurrency) then
    update pgqueue.limit_rules r set declared = save_limit.declared where r.name = save_limit.name and save_limit.declared is not null;
    return 'unchanged';
  end if;
  update pgqueue.limit_rules r
  set rate = save_limit.rate, per = save_limit.per, burst = save_limit.burst, concurrency = save_limit.concurrency,
      declared = coalesce(save_limit.declared, r.declared), changed_at = _at
  where r.name = save_limit.name;
  perform pgqueue.release_line('limit', name, _at);
  return 'changed';
end $$;

-- Takes the limits that the code declares, an array of {name, rate, per, burst, concurrency}; returns those that are new or changed. A declaration
-- that the code has not changed since changes nothing, so an operator's edit outlives restarts. In the order of their names, so that
-- workers that start together do not deadlock. Raises PQ004. Locks: as set_limit.
create or replace function pgqueue.declare_limits(definitions jsonb) returns table (name text, verdict text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _rule jsonb;
begin
  for _rule in select d from jsonb_array_elements(definitions) d order by d ->> 'name' collate "C" loop
    name := _rule ->> 'name';
    verdict := pgqueue.save_limit(name, (_rule ->> 'rate')::double precision, coalesce((_rule ->> 'per')::interval, '1 s'),
                                  (_rule ->> 'burst')::integer, (_rule ->> 'concurrency')::integer, _rule);
    if verdict <> 'unchanged' then
      return next;
    end if;
  end loop;
end $$;

-- Removes a limit; returns whether there was one. Jobs that name it are held until somebody sets it again; code that still declares it does so
-- when its worker starts. Locks: as set_limit.
create or replace function pgqueue.drop_limit(name text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  delete from pgqueue.limit_rules r where r.name = drop_limit.name;
  if not found then
    return false;
  end if;
  perform pgqueue.release_line('limit', drop_limit.name, clock_timestamp());
  return true;
end $$;

-- Lets everybody go who stands in line for a limit or for shares of a queue: they are due now, in their old order, and are judged anew
-- when they are claimed. A job due earlier stays so. The times that a rate has given out are forgotten.
-- Locks: the lanes by key, waiting (claims only try them; settles take them in the same order); the jobs by id; then their lines.
create or replace function pgqueue.release_line(kind text, name text, at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  perform from pgqueue.lanes l where l.kind = release_line.kind and l.name = release_line.name order by l.key for update;
  update pgqueue.lanes l set slot = null where l.kind = release_line.kind and l.name = release_line.name and l.slot is not null;
  _ids := array(
    select j.id from pgqueue.queued_jobs j
    where j.id in (select w.job_id from pgqueue.lane_waits w where w.kind = release_line.kind and w.name = release_line.name)
    order by j.id for update);
  update pgqueue.queued_jobs j set run_at = at where j.id = any (_ids) and j.worker_id is null and j.run_at > at;
  delete from pgqueue.lane_waits w where w.kind = release_line.kind and w.name = release_line.name and w.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;

-- Lets those go who stand in a line that nobody serves: the queue is not fair any more, or the limit counts no permits any more, and
-- their transaction could not see that yet. Called by every worker now and then; looks at one row a line. Locks: as release_line.
create or replace function pgqueue.sweep_lines() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _line record;
  _released bigint := 0;
begin
  for _line in
    with recursive lines as (
      (select w.kind, w.name from pgqueue.lane_waits w where w.kind <> 'group' order by w.kind, w.name limit 1)
      union all
      select n.kind, n.name from lines l cross join lateral (
        select w.kind, w.name from pgqueue.lane_waits w where w.kind <> 'group' and (w.kind, w.name) > (l.kind, l.name)
        order by w.kind, w.name limit 1) n
    )
    select l.kind, l.name from lines l
    where l.kind = 'fair' and not exists (select from pgqueue.queue_policies p where p.queue = l.name and p.fair)
       or l.kind = 'limit' and not exists (select from pgqueue.limit_rules r where r.name = l.name)
    order by l.kind, l.name
  loop
    _released := _released + pgqueue.release_line(_line.kind, _line.name, clock_timestamp());
  end loop;
  return _released;
end $$;
-- functions/58_remove.sql
-- Deletes a finished or dead job with its arguments, attempts, steps and, if it still holds one for a period, its key. Returns the state it
-- was in. Raises PQ001 unknown job; PQ003 when it is unfinished, or a job of its flow waits for its retry. Looks again when the job has moved between two looks.
-- Locks: the job's row, then what belongs to it.
create or replace function pgqueue.remove(id bigint) returns text
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
  delete from pgqueue.job_steps s where s.job_id = remove.id;
  delete from pgqueue.job_keys k where k.queue = _job.queue and k.key = _job.key and k.job_id = remove.id;
  delete from pgqueue.cancel_requests c where c.job_id = remove.id;
  return _state;
end $$;
-- functions/58_enforce_quota.sql
-- gone
drop function pgqueue.set_quota;
drop function pgqueue.enforce_quota;
-- functions/57_backlog.sql
-- Jobs due plus jobs running, of a queue or of all: what an autoscaler divides by. Jobs due later and parked jobs do not count, and a
-- message group with jobs under way counts once.
create or replace function pgqueue.backlog(queue text default null) returns bigint
language sql stable
return (
  select count(*) filter (where not j.gated)
         + count(distinct coalesce('g' || j.queue || chr(31) || (a.gates ->> 'group'), j.id::text)) filter (where j.gated)
  from pgqueue.queued_jobs j left join pgqueue.job_args a on j.gated and a.id = j.id and a.day = j.args_day
  where (backlog.queue is null or j.queue = backlog.queue) and (j.worker_id is not null or j.run_at <= clock_timestamp())
);
-- functions/55_redrive.sql
drop function pgqueue.redrive;
-- Makes dead jobs ready again, oldest first, all or those of a queue, a task, up to a limit, and returns how many. A job whose key
-- another job holds stays dead and is reported by a warning of its own, and so is one that fails to move; the others move. Raises PQ004.
-- Locks: dead jobs in id order, passing by locked ones, then their keys in the order of (queue, key), as enqueue_many does.
create or replace function pgqueue.redrive(queue text default null, task text default null, "limit" integer default null) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
  _job record;
  _holder bigint;
begin
  if redrive."limit" < 0 then
    raise exception using errcode = 'PQ004', message = format('redrive: limit must not be negative, got %s', redrive."limit");
  end if;
  select coalesce(array_agg(c.id), '{}') into _ids
  from (select d.id from pgqueue.dead_jobs d
        where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
          and not exists (select from pgqueue.job_keys k where k.queue = d.queue and k.key = d.key and pgqueue.key_holds(k.job_id, k.until))
        order by d.id
        limit redrive."limit"
        for update of d skip locked) c;
  for _job in
    select d.id, d.queue, d.key from pgqueue.dead_jobs d where d.id = any (_ids) and d.key is not null
    order by d.queue collate "C", d.key collate "C", d.id
  loop
    _holder := pgqueue.hold_key(_job.id, _job.queue, _job.key, null);
    if _holder is not null then
      _ids := array_remove(_ids, _job.id);
    end if;
  end loop;
  begin
    perform pgqueue.requeue_dead(_ids, clock_timestamp());
  exception when others then
    raise warning 'redrive: % (%); going on job by job', sqlerrm, sqlstate;
    _ids := pgqueue.requeue_dead_singly(_ids);
  end;
  for _job in
    select d.id, d.queue, d.key, k.job_id as holder
    from pgqueue.dead_jobs d join pgqueue.job_keys k on k.queue = d.queue and k.key = d.key
    where (redrive.queue is null or d.queue = redrive.queue) and (redrive.task is null or d.task = redrive.task)
      and pgqueue.key_holds(k.job_id, k.until)
    order by d.id
    limit 1000
  loop
    raise warning 'job % stays dead: its key "%" of queue "%" is held by job %', _job.id, _job.key, _job.queue, _job.holder;
  end loop;
  return cardinality(_ids);
end $$;
-- functions/53_requeue_cancelled.sql
-- Puts cancelled jobs, whose rows the caller has locked and whose keys it holds, back into the queue, due now. Returns how many: who is gone
-- meanwhile does not count. A node of a flow is reopened with its job, as in requeue_dead.
-- Locks: the jobs' history rows, nodes (reopen_nodes), requests to cancel.
create or replace function pgqueue.requeue_cancelled(ids bigint[], at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[];
begin
  with gone as (
    delete from pgqueue.finished_jobs f where f.id = any (ids) and not f.succeeded
    returning f.id, f.finished_at, f.started_at, f.worker_id, f.created_at, f.args_day, f.attempt, f.priority, f.suspect, f.max_attempts, f.timeout,
              f.queue, f.task, f.key, f.error
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, g.started_at, g.finished_at, g.worker_id, g.attempt, 'cancelled', g.error from gone g where g.worker_id is not null
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
    select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
           exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
    from gone g
    returning id
  )
  select array_agg(q.id order by q.id) into _ids from queued q;
  if _ids is null then
    return 0;
  end if;
  perform pgqueue.reopen_nodes(_ids, at);
  perform pgqueue.line_up(_ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (_ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (_ids)) q;
  return cardinality(_ids);
end $$;
-- functions/52_requeue_dead.sql
-- Puts dead jobs whose rows the caller has locked, and whose keys it holds, back into the queue: due now, both counts at
-- zero, with their ids and the evidence of their attempts. A request to cancel from before is over. A node of a flow is
-- reopened with its job: if it never started it waits for its parents first. Raises PQ003 as reopen_nodes. Locks: nodes (reopen_nodes), those requests.
create or replace function pgqueue.requeue_dead(ids bigint[], at timestamptz) returns void
language plpgsql as $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  with gone as (
    delete from pgqueue.dead_jobs d where d.id = any (ids)
    returning d.id, d.created_at, d.args_day, d.attempt, d.priority, d.suspect, d.max_attempts, d.timeout, d.queue, d.task, d.key, d.attempts
  ), logged as (
    insert into pgqueue.job_attempts (job_id, logged_at, started_at, finished_at, worker_id, attempt, outcome, error)
    select g.id, at, e.started_at, e.finished_at, e.worker_id, e.attempt, e.outcome, e.error
    from gone g, jsonb_to_recordset(g.attempts) as e (started_at timestamptz, finished_at timestamptz, worker_id bigint, attempt integer,
                                                      outcome text, error jsonb)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, attempt, priority, suspect, max_attempts, timeout, queue, task, key, gated, linked)
  select g.id, at, g.created_at, g.args_day, g.attempt, g.priority, g.suspect, g.max_attempts, g.timeout, g.queue, g.task, g.key,
         exists (select from pgqueue.job_args a where a.id = g.id and a.day = g.args_day and a.gates is not null), pgqueue.is_node(g.id)
  from gone g;
  perform pgqueue.reopen_nodes(ids, at);
  perform pgqueue.line_up(ids, at);
  delete from pgqueue.cancel_requests c where c.job_id = any (ids);
  perform pgqueue.wake(q.queue) from (select distinct j.queue from pgqueue.queued_jobs j where j.id = any (ids)) q;
end $$;
-- functions/51_reopen_nodes.sql
drop function pgqueue.recall_skipped;
drop function pgqueue.reopen_nodes;
drop function pgqueue.batch_ends;
drop function pgqueue.is_undone;
drop function pgqueue.skips;
-- Whether a node would be skipped, as its parents stand.
create or replace function pgqueue.skips(id bigint) returns boolean
language sql stable set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select coalesce(sum(pgqueue.misses(l.condition, p.outcome)), 0) > 0
         or n.asks_failure and count(*) filter (where p.outcome is null) = 0 and coalesce(sum(pgqueue.hits(l.condition, p.outcome, n.verdict)), 0) = 0
  from pgqueue.flow_nodes n join pgqueue.flow_links l on l.child_id = n.id join pgqueue.flow_nodes p on p.id = l.parent_id
  where n.id = skips.id
  group by n.id, n.asks_failure, n.verdict
$$;

-- Reopens the nodes among these ids, because an operator runs them again (I15): jobs that are in the queue again, or barriers. Children that
-- still wait count them as parents that have not ended; children that have started or ended are left alone, so nothing is called
-- twice. A job that never started, and a barrier, is judged anew: it waits for its parents, and if one of them has failed, until that
-- is retried too, whatever its policy says (patient).
-- Raises PQ003 for a step of a saga that was given up, whose undos run or have run, and for a job that would be skipped again.
-- I6: counts are taken under the locks of the node, of its unfinished parents (a settle that is under way has them: it commits first, or
-- finds the node blocked) and of its waiting children. Locks: all these by (rank, id), those of gathering children excepted,
-- who get a delta; a child that was linked while it waited for these locks comes last.
create or replace function pgqueue.reopen_nodes(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _nodes constant bigint[] := array(select n.id from pgqueue.flow_nodes n where n.id = any (ids));
  _again bigint[];
  _id bigint;
begin
  if _nodes = '{}' then
    return;
  end if;
  perform from pgqueue.flow_nodes n
  where n.id = any (array(
    select unnest(_nodes)
    union
    select l.child_id from pgqueue.flow_links l
    where l.parent_id = any (_nodes) and (select c.blocked and not c.gather from pgqueue.flow_nodes c where c.id = l.child_id)
    union
    select l.parent_id from pgqueue.flow_links l
    where l.child_id = any (_nodes) and (select p.outcome is null from pgqueue.flow_nodes p where p.id = l.parent_id)))
  order by n.rank, n.id
  for no key update;
  select n.id into _id
  from pgqueue.flow_nodes n
  join pgqueue.flow_links l on l.parent_id = n.id and l.parent_id = any (_nodes)
  where n.id = any (_nodes) and n.role = 'step' and (select f.kind from pgqueue.job_flows f where f.id = n.flow_id) = 'saga'
    and (select not e.is_job and e.outcome is not null from pgqueue.flow_nodes e where e.id = l.child_id)
  limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format('job %s is a step of a saga that was given up and is undone: enqueue the saga anew', _id);
  end if;
  select n.id into _id from pgqueue.flow_nodes n where n.id = any (_nodes) and n.outcome = 'skipped' and pgqueue.skips(n.id) limit 1;
  if found then
    raise exception using errcode = 'PQ003', message = format('job %s was skipped, because what it is there for did not happen: retry its parents, or the flow', _id);
  end if;

  with was as materialized (
    select n.id, n.outcome from pgqueue.flow_nodes n where n.id = any (_nodes) and n.outcome is not null
  ), told as materialized (
    select c.id, c.gather, count(*)::integer as pending, sum(pgqueue.breaches(l.condition, w.outcome))::integer as breached,
           sum(pgqueue.misses(l.condition, w.outcome))::integer as missed, sum(pgqueue.hits(l.condition, w.outcome, c.verdict))::integer as hits
    from was w
    join pgqueue.flow_links l on l.parent_id = w.id and l.parent_id = any (_nodes)
    cross join lateral (select n.id, n.gather, n.verdict from pgqueue.flow_nodes n where n.id = l.child_id and n.blocked offset 0) c
    group by c.id, c.gather
  ), narrow as (
    update pgqueue.flow_nodes c
    set pending = c.pending + t.pending, breached = c.breached - t.breached, missed = c.missed - t.missed, hits = c.hits - t.hits
    from told t where c.id = any (array(select x.id from told x where not x.gather)) and c.id = t.id
  ), wide as (
    insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
    select t.id, -t.pending, -t.breached, -t.missed, -t.hits from told t where t.gather
  )
  update pgqueue.flow_nodes n set outcome = null, result = null, ended_at = null from was w where n.id = any (_nodes) and n.id = w.id;

  _again := array(select n.id from pgqueue.flow_nodes n
                  where n.id = any (_nodes) and (not n.is_job or exists (select from pgqueue.queued_jobs j where j.id = n.id and j.attempt = 0)));
  with counted as materialized (
    select l.child_id as id, count(*) filter (where p.outcome is null) as pending, sum(pgqueue.breaches(l.condition, p.outcome)) as breached,
           sum(pgqueue.misses(l.condition, p.outcome)) as missed, sum(pgqueue.hits(l.condition, p.outcome, c.verdict)) as hits
    from pgqueue.flow_links l
    join pgqueue.flow_nodes c on c.id = l.child_id and c.id = any (_again)
    cross join lateral (select n.outcome from pgqueue.flow_nodes n where n.id = l.parent_id offset 0) p
    where l.child_id = any (_again)
    group by l.child_id
  ), stale as (
    delete from pgqueue.flow_deltas d where d.child_id = any (_again)
  )
  update pgqueue.flow_nodes n
  set blocked = true, patient = true, due = null, pending = coalesce(c.pending, 0), breached = coalesce(c.breached, 0), missed = coalesce(c.missed, 0),
      hits = coalesce(c.hits, 0)
  from unnest(_again) as a (id) left join counted c on c.id = a.id
  where n.id = any (_again) and n.id = a.id;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_again);
  perform pgqueue.advance_nodes('{}', _again, at);
end $$;
-- functions/50_cancel.sql
-- Cancels a job and returns the state that it found. A waiting job is cancelled at once; a running one is told to stop, and ends
-- as cancelled unless it succeeds first; a finished or dead one stays as it is. Raises PQ001 unknown job.
-- Locks: the job's row if it can have it at once. If not (a claim, a settle, or a handler's own transaction has it), it leaves
-- a request beside it, which the worker reads at its next heartbeat or wake-up, every settle checks, and the keeper sweeps. A request
-- that is there already is left alone: a handler's transaction that completes the job may be deleting it.
create or replace function pgqueue.cancel(id bigint) returns text
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _state text;
begin
  if pgqueue.try_waiting(cancel.id) then
    return pgqueue.cancel_waiting(cancel.id, _at);
  end if;
  _state := pgqueue.stored_state(cancel.id);
  if _state is null then
    perform pgqueue.unknown_job(cancel.id);
  elsif _state in ('scheduled', 'ready', 'blocked', 'running') then
    if not exists (select from pgqueue.cancel_requests c where c.job_id = cancel.id) then
      insert into pgqueue.cancel_requests (job_id, requested_at) values (cancel.id, _at) on conflict do nothing;
    end if;
    perform pg_notify(pgqueue.wake_channel(null), '');
  end if;
  return _state;
end $$;
-- functions/47_take_series.sql
-- Takes the jobs that follow in their groups' lines behind jobs that are about to be claimed, up to `series` of each group with its
-- first one: they go to the same worker, which runs them one after the other. Stops at a job that cannot be had (locked, of another
-- task, with limits of its own, suspect). Returns their ids; they hold their group's turn with the first.
-- Locks: the groups' lanes that it can have at once, in order; the jobs that it can have at once.
create or replace function pgqueue.take_series(heads bigint[], queue text, tasks text[], series integer, at timestamptz) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _key text;
  _all bigint[] := '{}';
  _next bigint[];
begin
  for _key in
    select l.key from pgqueue.lanes l
    where l.kind = 'group' and l.name = take_series.queue
      and l.key = any (array(select p.key from pgqueue.permits p where p.kind = 'group' and p.job_id = any (heads)))
    order by l.key
    for update skip locked
  loop
    select array_agg(f.job_id) into _next
    from (select w.job_id, bool_and(j.id is not null) over (order by w.job_id) as unbroken
          from (select x.job_id from pgqueue.lane_waits x
                where x.kind = 'group' and x.name = take_series.queue and x.key = _key order by x.job_id limit series - 1) w
          left join lateral (
            select q.id from pgqueue.queued_jobs q join pgqueue.job_args a on a.id = q.id and a.day = q.args_day
            where q.id = w.job_id and q.worker_id is null and not q.suspect and q.task = any (tasks) and not a.gates ?| array['limits', 'fair']
            for update of q skip locked) j on true) f
    where f.unbroken;
    continue when _next is null;
    delete from pgqueue.lane_waits w where w.kind = 'group' and w.job_id = any (_next);
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'group', queue, _key, at from unnest(_next) i;
    _all := _all || _next;
  end loop;
  return _all;
end $$;
-- functions/46_gate.sql
-- Which of these due jobs of a queue, whose rows the caller has locked, may be claimed: those that pass all their gates, in the order
-- shares, group, limits; at most `room` of them, so that no permit is granted to a job that is not claimed. The others are parked or
-- dated later, and no claim walks over them until something has changed.
create or replace function pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _limited bigint[];
begin
  _ids := pgqueue.gate_shares(_ids, queue);
  _ids := pgqueue.gate_groups(_ids, queue, at, room);
  _limited := array(select j.id from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
                    where j.id = any (_ids) and a.gates ? 'limits');
  if _limited <> '{}' then
    _ids := array(select i from unnest(_ids) i where i <> all (_limited)) || pgqueue.gate_limits(_limited, queue, tasks, at, room - cardinality(_ids) + cardinality(_limited));
  end if;
  return _ids[1 : room];
end $$;
-- functions/45_gate_shares.sql
-- The gate of fair shares: a job of a fair queue that has a key runs when its key's share comes (deal). One that came another way (it
-- was due later, or is tried again) is parked in its key's line. Returns the ids that may go on. Locks: nothing new.
create or replace function pgqueue.gate_shares(ids bigint[], queue text) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _dealt bigint[];
  _late bigint[];
begin
  if not exists (select from pgqueue.queue_policies p where p.queue = gate_shares.queue and p.fair) then
    return ids;
  end if;
  _dealt := array(select p.job_id from pgqueue.permits p where p.job_id = any (ids) and p.kind = 'fair');
  with late as (
    insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
    select 'fair', queue, a.gates ->> 'fair', j.priority, j.id
    from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    where j.id = any (ids) and j.id <> all (_dealt) and a.gates ? 'fair'
    on conflict do nothing
    returning job_id
  )
  select array_agg(l.job_id) into _late from late l;
  update pgqueue.queued_jobs j set run_at = 'infinity' where j.id = any (_late);
  return array(select i from unnest(ids) i where i <> all (coalesce(_late, '{}')));
end $$;

-- Deals out the shares of a fair queue: of each key's line as many jobs as its weight says, in proportion to what the others with
-- work get, so many that `wanted` jobs can be claimed. What was dealt and not claimed yet counts. A key without work gives its
-- share to the others. One dealer at a time, nobody waits for it.
-- Locks: the queue's lane if it can be had at once, then jobs in line that can be had at once.
create or replace function pgqueue.deal(queue text, wanted integer, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _key record;
  _ids bigint[];
begin
  perform pgqueue.make_lane('fair', queue, '');
  perform from pgqueue.lanes l where l.kind = 'fair' and l.name = deal.queue and l.key = '' for update skip locked;
  if not found then
    return;
  end if;
  for _key in
    with recursive keys as (
      select (select min(w.key) from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue) as key
      union all
      select (select min(w.key) from pgqueue.lane_waits w where w.kind = 'fair' and w.name = deal.queue and w.key > k.key) from keys k where k.key is not null
    ), shares as (
      select k.key, coalesce(f.weight, 1) as weight from keys k left join pgqueue.fair_weights f on f.queue = deal.queue and f.key = k.key
      where k.key is not null
    )
    select s.key, s.weight * greatest(1, ceil(deal.wanted::float8 / sum(s.weight) over ()))
                  - (select count(*) from pgqueue.permits p where p.kind = 'fair' and p.name = deal.queue and p.key = s.key) as room
    from shares s
  loop
    continue when _key.room <= 0;
    select array_agg(c.id) into _ids
    from (select j.id from pgqueue.lane_waits w join pgqueue.queued_jobs j on j.id = w.job_id
          where w.kind = 'fair' and w.name = deal.queue and w.key = _key.key and j.worker_id is null
          order by w.priority, w.job_id limit _key.room for update of j skip locked) c;
    continue when _ids is null;
    delete from pgqueue.lane_waits w where w.kind = 'fair' and w.job_id = any (_ids);
    insert into pgqueue.permits (job_id, kind, name, key, granted_at) select i, 'fair', queue, _key.key, at from unnest(_ids) i;
    update pgqueue.queued_jobs j set run_at = at where j.id = any (_ids);
  end loop;
end $$;
-- functions/45_gate_limits.sql
-- The gate of limits: gives each of these due jobs, whose rows the caller has locked, the permits and the budget of all its limits, or
-- none of them (I9); to at most `room` of them. Who waits for a permit is parked in its line, by priority and id. Who waits for a
-- rate is told when to come back, which is the time of its place in the line: nobody who comes later overtakes it. Neither is
-- looked at again until then. A limit that nobody has defined holds its jobs, looked at once a second.
-- Rate: the generic cell rate algorithm (ITU-T I.371, as a virtual scheduler): `tat` is when a bucket of `burst` would be full again;
-- a grant of weight w moves it by w * per / rate and is allowed while it stays within burst * per / rate of now. So no window of
-- length t sees more than burst + t * rate / per, also when steps that began earlier come later.
-- The lanes are locked, read once, counted in memory and written once. Locks: lanes in the order of limit names within a job, each
-- only if it can be had at once; where one is busy the job stays as it is, and the claim says that it has to look again soon.
create or replace function pgqueue.gate_limits(ids bigint[], queue text, tasks text[], at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _ok bigint[] := '{}';
  _names text[] := '{}'; _keys text[] := '{}'; _states text[] := '{}'; _held bigint[] := '{}'; _tat timestamptz[] := '{}'; _slot timestamptz[] := '{}';
  _cells interval[] := '{}'; _bursts integer[] := '{}';
  _permit_ids bigint[] := '{}'; _permit_places integer[] := '{}'; _permit_weights integer[] := '{}';
  _late_ids bigint[] := '{}'; _late_places integer[] := '{}'; _late_weights integer[] := '{}'; _late_why text[] := '{}';
  _job record;
  _lane record;
  _place integer;
  _places integer[];
  _weight integer;
  _stop text;
begin
  _ids := _ids || array(  -- those in line for a rate are served first, in its order: the time they were told is only when to come back
    select l.id
    from (select distinct o.key as name, o.value ->> 'key' as key
          from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
          cross join lateral jsonb_each(a.gates -> 'limits') o join pgqueue.limit_rules r on r.name = o.key and r.rate is not null
          where j.id = any (ids)) lane,
    lateral (select j.id
             from (select w.job_id, w.priority from pgqueue.lane_waits w where w.kind = 'limit' and w.name = lane.name and w.key = lane.key
                   order by w.priority, w.job_id limit 2 * room) w
             join pgqueue.queued_jobs j on j.id = w.job_id
             where j.queue = gate_limits.queue and j.task = any (tasks) and j.worker_id is null and not j.suspect
               and j.id <> all (ids)
             order by w.priority, w.job_id limit room
             for update of j skip locked) l);
  for _job in
    select c.* from (
    select j.id, j.priority, array_agg(o.key order by o.key collate "C") as names,
           array_agg(o.value ->> 'key' order by o.key collate "C") as keys,
           array_agg((o.value ->> 'weight')::integer order by o.key collate "C") as weights,
           array_agg(r.rate order by o.key collate "C") as rates, array_agg(r.concurrency order by o.key collate "C") as most,
           array_agg(r.per / r.rate order by o.key collate "C") as cells,
           array_agg(coalesce(r.burst, pgqueue.default_burst(r.rate, r.per)) order by o.key collate "C") as bursts,
           array_agg(r.name is not null order by o.key collate "C") as known,
           array_agg(exists (select from pgqueue.lane_waits w where w.job_id = j.id and w.kind = 'limit' and w.name = o.key
                               and w.key = o.value ->> 'key') order by o.key collate "C") as in_line
    from pgqueue.queued_jobs j
    join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
    cross join lateral jsonb_each(a.gates -> 'limits') o
    left join pgqueue.limit_rules r on r.name = o.key
    where j.id = any (_ids)
    group by j.id) c
    order by c.priority, true = any (c.in_line) desc, c.id
  loop
    exit when cardinality(_ok) >= room;
    _stop := null;
    _places := '{}';
    for _i in 1 .. cardinality(_job.names) loop
      select p.place into _place from unnest(_names, _keys) with ordinality as p (name, key, place)
      where p.name = _job.names[_i] and p.key = _job.keys[_i];
      if not found then
        _names := _names || _job.names[_i];
        _keys := _keys || _job.keys[_i];
        _place := cardinality(_names);
        _cells[_place] := _job.cells[_i];
        _bursts[_place] := _job.bursts[_i];
        if _job.known[_i] then
          perform pgqueue.make_lane('limit', _names[_place], _keys[_place]);
          select l.held, l.tat, l.slot into _lane from pgqueue.lanes l
          where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;
          _states[_place] := case when found then 'open' else 'busy' end;
          _held[_place] := _lane.held;
          _tat[_place] := _lane.tat;
          _slot[_place] := _lane.slot;
        else
          _states[_place] := 'unknown';
          _held[_place] := 0;  -- every array has every place: they are unnested side by side
          _tat[_place] := null;
          _slot[_place] := null;
        end if;
      end if;
      _places := _places || _place;
      _weight := least(_job.weights[_i], _job.most[_i]);
      if _states[_place] = 'open' and _held[_place] + _weight > _job.most[_i] then
        _states[_place] := 'full';
      elsif _states[_place] = 'open'
            and greatest(_tat[_place], at) + _cells[_place] * (least(_job.weights[_i], _bursts[_place]) - _bursts[_place]) > at then
        _states[_place] := 'dated';
      end if;
      _stop := nullif(_states[_place], 'open');
      if _stop is null and _slot[_place] > at and not _job.in_line[_i] then
        _stop := 'dated';
      end if;
      exit when _stop is not null;
    end loop;
    if _stop is null then
      _ok := _ok || _job.id;
      for _i in 1 .. cardinality(_places) loop
        if _job.most[_i] is not null then
          _weight := least(_job.weights[_i], _job.most[_i]);
          _held[_places[_i]] := _held[_places[_i]] + _weight;
          _permit_ids := _permit_ids || _job.id;
          _permit_places := _permit_places || _places[_i];
          _permit_weights := _permit_weights || _weight;
        end if;
        if _job.rates[_i] is not null then
          _tat[_places[_i]] := greatest(_tat[_places[_i]], at) + _job.cells[_i] * least(_job.weights[_i], _job.bursts[_i]);
        end if;
      end loop;
    else
      continue when _stop = 'busy' or _job.id <> all (ids);  -- who was only looked up in the line stays as he is
      _late_ids := _late_ids || _job.id;
      _late_places := _late_places || _place;
      _late_weights := _late_weights || _job.weights[cardinality(_places)];
      _late_why := _late_why || case when _stop = 'dated' and _job.in_line[cardinality(_places)] then 'again' else _stop end;
    end if;
  end loop;

  if 'busy' = any (_states) then
    perform set_config('pgq.busy', at::text, true);
  end if;
  delete from pgqueue.lane_waits w where w.kind = 'limit' and w.job_id = any (_ok);
  insert into pgqueue.permits (job_id, kind, name, key, weight, granted_at)
  select p.id, 'limit', _names[p.place], _keys[p.place], p.weight, at
  from unnest(_permit_ids, _permit_places, _permit_weights) as p (id, place, weight);
  insert into pgqueue.lane_waits (kind, name, key, priority, job_id)
  select 'limit', _names[t.place], _keys[t.place], j.priority, t.id
  from unnest(_late_ids, _late_places, _late_why) as t (id, place, why) join pgqueue.queued_jobs j on j.id = t.id
  where t.why in ('full', 'dated')
  on conflict do nothing;
  with told as (
    select t.id, t.place,
           case t.why
             when 'full' then 'infinity'
             when 'again' then greatest(_tat[t.place], at) - _cells[t.place] * _bursts[t.place]
                               + _cells[t.place] * sum(t.weight) over (partition by t.place, t.why order by t.number)
             when 'dated' then greatest(_slot[t.place], greatest(_tat[t.place], at) - _cells[t.place] * _bursts[t.place])
                               + _cells[t.place] * sum(t.weight) over (partition by t.place, t.why order by t.number)
             else at + interval '1 s'
           end as run_at, t.why
    from unnest(_late_ids, _late_places, _late_weights, _late_why) with ordinality as t (id, place, weight, why, number)
  ), dated as (
    update pgqueue.queued_jobs j set run_at = t.run_at from told t where j.id = t.id
  )
  update pgqueue.lanes l
  set held = p.held, tat = p.tat,
      slot = greatest(p.slot, (select max(t.run_at) from told t where t.place = p.place and t.why = 'dated'))
  from unnest(_names, _keys, _held, _tat, _slot, _states) with ordinality as p (name, key, held, tat, slot, state, place)
  where l.kind = 'limit' and l.name = p.name and l.key = p.key and p.state not in ('busy', 'unknown');
  return _ok;
end $$;

-- The bucket of a rate that says nothing of its burst: what it grants in a tenth of a second, at least one.
create or replace function pgqueue.default_burst(rate double precision, per interval) returns integer
language sql immutable parallel safe
return greatest(1, ceil(rate / extract(epoch from per) / 10))::integer;
-- functions/42_hand_on.sql
-- Gives a free group's turn to the first job in its line, which is due from then on, and returns its id (I8). The caller has locked the
-- lane's row and seen that nobody holds the turn. A job that is gone leaves the line, and the next one gets it. With `wait` it
-- waits for the job's row, as settles may; without it, which is how claims ask, a row that somebody has (another claim, which will
-- find the lane busy and look again; a cancel, after which `hand_on_idle` looks) gets no turn yet.
create or replace function pgqueue.hand_on(queue text, group_key text, at timestamptz, wait boolean) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _id bigint;
begin
  loop
    select w.job_id into _id from pgqueue.lane_waits w
    where w.kind = 'group' and w.name = hand_on.queue and w.key = hand_on.group_key order by w.priority, w.job_id limit 1;
    if not found then
      return null;
    end if;
    if wait then
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update;
    else
      perform from pgqueue.queued_jobs j where j.id = _id and j.worker_id is null for update skip locked;
      if not found and exists (select from pgqueue.queued_jobs j where j.id = _id) then
        return null;
      end if;
    end if;
    if found then
      delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group';
      update pgqueue.queued_jobs j set run_at = at where j.id = _id;
      insert into pgqueue.permits (job_id, kind, name, key, granted_at) values (_id, 'group', hand_on.queue, hand_on.group_key, at) on conflict do nothing;
      perform pgqueue.wake(hand_on.queue);
      return _id;
    end if;
    delete from pgqueue.lane_waits w where w.job_id = _id and w.kind = 'group';
  end loop;
end $$;

-- Looks for turns that nobody has though somebody is in line, and hands them on; and for limits with permits free and somebody in line.
-- Settles do this at once: here comes what a cancel or a claim at the same moment has left. Called by the keeper, it costs a
-- probe of the line for each lane that has one. Returns how many it called. Locks: one lane at a time that it can have at once.
create or replace function pgqueue.hand_on_idle() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _lane record;
  _called bigint := 0;
begin
  for _lane in
    with recursive lines as (
      (select w.kind, w.name, w.key from pgqueue.lane_waits w where w.kind > 'fair' order by w.kind, w.name, w.key limit 1)
      union all
      select n.kind, n.name, n.key from lines l,
      lateral (select w.kind, w.name, w.key from pgqueue.lane_waits w where (w.kind, w.name, w.key) > (l.kind, l.name, l.key)
               order by w.kind, w.name, w.key limit 1) n
    )
    select l.kind, l.name, l.key, r.concurrency from lines l left join pgqueue.limit_rules r on l.kind = 'limit' and r.name = l.name
    where l.kind = 'limit' or not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = l.name and p.key = l.key)
  loop
    perform from pgqueue.lanes l where l.kind = _lane.kind and l.name = _lane.name and l.key = _lane.key for update skip locked;
    continue when not found;
    if _lane.kind = 'group' then
      if not exists (select from pgqueue.permits p where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key) then
        _called := _called + (pgqueue.hand_on(_lane.name, _lane.key, _at, false) is not null)::integer;
      end if;
    elsif _lane.concurrency is not null then
      _called := _called + (select pgqueue.call_waiting(_lane.name, _lane.key, _lane.concurrency - l.held, _at) from pgqueue.lanes l
                            where l.kind = 'limit' and l.name = _lane.name and l.key = _lane.key);
    end if;
  end loop;
  return _called;
end $$;

-- Calls as many of those who wait for a limit's key as there are permits free: they are due now, and take the permits when they are
-- claimed. The caller has locked the lane's row. Locks: the jobs' rows, waiting for their cancelling transactions only.
create or replace function pgqueue.call_waiting(name text, key text, free bigint, at timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _called bigint := 0;
  _wait record;
begin
  for _wait in
    select w.priority, w.job_id from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key
    order by w.priority, w.job_id limit greatest(free, 0)
  loop
    delete from pgqueue.lane_waits w
    where w.kind = 'limit' and w.name = call_waiting.name and w.key = call_waiting.key and w.priority = _wait.priority and w.job_id = _wait.job_id;
    update pgqueue.queued_jobs j set run_at = least(j.run_at, at) where j.id = _wait.job_id and j.worker_id is null;
    _called := _called + 1;
    perform pgqueue.wake(q.queue) from pgqueue.queued_jobs q where q.id = _wait.job_id;
  end loop;
  return _called;
end $$;

-- Forgets lanes that nobody uses: no permit out, nobody in line, a bucket that is full again. Returns how many, at most 10,000.
-- Locks: the lanes' rows that it can have at once; who needs one meanwhile makes it anew.
create or replace function pgqueue.sweep_lanes() returns bigint
language sql set search_path = pg_catalog, pg_temp as $$
  with idle as (
    select l.kind, l.name, l.key from pgqueue.lanes l
    where l.held = 0 and coalesce(greatest(l.tat, l.slot) < clock_timestamp(), true)
      and not exists (select from pgqueue.permits p where p.kind = l.kind and p.name = l.name and p.key = l.key)
      and not exists (select from pgqueue.lane_waits w where w.kind = l.kind and w.name = l.name and w.key = l.key)
    limit 10000
    for update skip locked
  ), gone as (
    delete from pgqueue.lanes l using idle i where l.kind = i.kind and l.name = i.name and l.key = i.key returning 1
  )
  select count(*) from gone
$$;
-- functions/39_rescue.sql
drop function pgqueue.rescue;
-- Declares workers lost whose heartbeat is older than their lease, ends their listening backends, and hands their jobs on: lost is not
-- failed. Returns a row per lost worker with the number of its jobs that moved. Each worker's jobs are looked for once, unless some
-- were locked by a handler's own transaction: those are left for the next time. One bad row does not stop the others.
-- Locks: lost workers for update, passing by those that are claiming right now; then, under a fresh snapshot, which a claim
-- cannot slip behind, their jobs in id order, passing by those that are locked.
create or replace function pgqueue.rescue() returns table (worker_id bigint, host text, pid integer, jobs bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _worker record;
  _outcomes jsonb;
  _one jsonb;
begin
  for _worker in
    select w.id, w.host, w.pid, w.listener_pid, w.listener_at, w.lost_at
    from pgqueue.worker_processes w
    where not w.rescued and (w.lost_at is not null or w.heartbeat_at + w.lease < clock_timestamp())
    order by w.id
    limit 100
    for update skip locked
  loop
    update pgqueue.worker_processes w set lost_at = coalesce(w.lost_at, clock_timestamp()), listener_pid = null where w.id = _worker.id;
    perform pgqueue.end_listener(_worker.listener_pid, _worker.listener_at);
    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost', 'error', jsonb_build_object(
             'type', 'WorkerLost', 'message', format('worker %s (%s, pid %s) stopped beating %s', _worker.id, _worker.host, _worker.pid,
               case when j.alone then 'while it ran this job alone' else 'while it held this job, perhaps among others' end))))
    into _outcomes
    from (select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id for update skip locked) j;
    begin
      perform pgqueue.ensure_day(clock_timestamp());
      perform pgqueue.settle(_outcomes, clock_timestamp()) where _outcomes is not null;
    exception when others then
      raise warning 'rescue of worker %: % (%); going on job by job', _worker.id, sqlerrm, sqlstate;
      for _one in select o from jsonb_array_elements(_outcomes) o loop
        begin
          perform pgqueue.settle(jsonb_build_array(_one), clock_timestamp());
        exception when others then
          raise warning 'rescue of job %: % (%)', _one ->> 'id', sqlerrm, sqlstate;
        end;
      end loop;
    end;
    update pgqueue.worker_processes w set rescued = not exists (select from pgqueue.queued_jobs q where q.worker_id = _worker.id) where w.id = _worker.id;
    perform pgqueue.wake('') where _outcomes is not null;
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = _worker.id) q;
    worker_id := _worker.id; host := _worker.host; pid := _worker.pid; jobs := coalesce(jsonb_array_length(_outcomes), 0);
    return next;
  end loop;
end $$;
-- functions/38_reconcile.sql
-- gone
drop function pgqueue.reconcile;
-- functions/38_note_failover.sql
-- gone
drop function pgqueue.note_failover;
-- functions/36_register_worker.sql
drop function pgqueue.register_worker;
-- Enters a worker process, with an id drawn at random by the caller. False: the id is taken, draw another.
create or replace function pgqueue.register_worker(id bigint, host text, pid integer, queues text[], tasks text[], concurrency integer, lease interval)
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  insert into pgqueue.worker_processes (id, started_at, heartbeat_at, lease, pid, concurrency, host, queues, tasks)
  values (register_worker.id, clock_timestamp(), clock_timestamp(), register_worker.lease, register_worker.pid, register_worker.concurrency,
          register_worker.host, register_worker.queues, register_worker.tasks)
  on conflict do nothing;
  return found;
end $$;
-- functions/36_note_incident.sql
-- gone
drop function pgqueue.note_incident;
-- functions/34_timeline_begin.sql
-- gone
drop function pgqueue.timeline_begin;
-- functions/34_server_state.sql
-- gone
drop function pgqueue.server_state;
-- functions/34_claim_alone.sql
-- Leases one due job that has to run alone, because it was there when a worker died, to a worker that runs nothing else now.
-- The row says so (alone), so that a loss can be counted against this job and no other (I11). Returns rows as claim does, at most one.
-- Locks: the worker's row for key share, then one job that it can have at once.
create or replace function pgqueue.claim_alone(worker_id bigint, epoch integer, token bigint, queue text, tasks text[])
returns table (id bigint, task text, args text, meta text, attempt integer, failures smallint, losses smallint, max_attempts smallint, timeout interval,
               priority smallint, run_at timestamptz, created_at timestamptz, expired boolean, key text, group_key text)
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _at constant timestamptz := clock_timestamp();
  _id bigint;
  _gated boolean;
begin
  perform from pgqueue.worker_processes w
  where w.id = claim_alone.worker_id and w.epoch = claim_alone.epoch and w.lost_at is null
  for key share;
  if not found or exists (select from pgqueue.paused_queues p where p.queue = claim_alone.queue) then
    return;
  end if;
  for _round in 1 .. 8 loop
    select q.id, q.gated into _id, _gated from pgqueue.queued_jobs q
    where q.queue = claim_alone.queue and q.suspect and q.worker_id is null and q.run_at <= _at and q.task = any (tasks)
    order by q.priority, q.run_at, q.id
    limit 1
    for update skip locked;
    exit when not found or not _gated or _id = any (pgqueue.gate(array[_id], queue, tasks, _at, 1));
    _id := null;
  end loop;
  return query
  with claimed as (
    update pgqueue.queued_jobs j
    set worker_id = claim_alone.worker_id, token = claim_alone.token, attempt = j.attempt + 1, started_at = _at, alone = true
    where j.id = _id and j.worker_id is null
    returning j.id, j.task, j.args_day, j.attempt, j.failures, j.losses, j.max_attempts, j.timeout, j.priority, j.run_at, j.created_at, j.expires_at, j.key
  )
  select c.id, c.task, a.args::text, a.meta::text, c.attempt, c.failures, c.losses, c.max_attempts, c.timeout, c.priority, c.run_at, c.created_at,
         c.expires_at <= _at, c.key, a.gates ->> 'group'
  from claimed c left join pgqueue.job_args a on a.id = c.id and a.day = c.args_day;
end $$;
-- functions/33_step_logging.sql
-- gone
drop function pgqueue.step_logging;
-- functions/32_keep_logs.sql
-- gone
drop function pgqueue.keep_logs;
-- functions/29_nodes.sql
-- Whether a job is a node of a flow.
create or replace function pgqueue.is_node(id bigint) returns boolean
language sql stable set enable_seqscan = off
return exists (select from pgqueue.flow_nodes n where n.id = is_node.id);

-- What becomes of a node whose counts are these: succeeded (a job may start, a barrier ends), skipped, cancelled, dead, or null: it
-- waits on. One failure is enough for the policies cancel and dead, the rest is judged once all parents have ended.
create or replace function pgqueue.judge(pending integer, breached integer, missed integer, hits integer, asks_failure boolean, verdict boolean,
  on_failure text, patient boolean) returns text
language sql immutable parallel safe
return case
  when missed > 0 then 'skipped'
  when breached > 0 then case when patient or on_failure = 'wait' then null when on_failure = 'dead' then 'dead' else 'cancelled' end
  when pending > 0 then null
  when asks_failure and hits = 0 then 'skipped'
  when verdict and hits > 0 then 'dead'
  else 'succeeded' end;

-- What the end of a parent means to a child, by the condition of their link; each is 0 or 1.
-- breached: it ended as it should not have, on_failure says what happens. missed: the child is skipped. hits: the failure it asks about.
create or replace function pgqueue.breaches(condition text, outcome text) returns integer
language sql immutable parallel safe
return (condition = 'succeeded' and outcome in ('cancelled', 'dead') or condition = 'not_failed' and outcome in ('cancelled', 'dead'))::integer;
create or replace function pgqueue.misses(condition text, outcome text) returns integer
language sql immutable parallel safe
return (condition = 'if_succeeded' and outcome <> 'succeeded' or condition = 'succeeded' and outcome = 'skipped')::integer;
create or replace function pgqueue.hits(condition text, outcome text, verdict boolean) returns integer
language sql immutable parallel safe
return ((condition = 'failed' or verdict) and outcome in ('cancelled', 'dead'))::integer;

-- What the end of these nodes means for others, in the transaction that settles them (I6): an array of {id, outcome, result, error},
-- outcomes succeeded, cancelled and dead. A node that has ended already is passed by, so nothing counts twice; only an operator's
-- retry reopens it (I15). A dead undo tells in its dead letter what is left undone because of it.
-- Locks: these nodes by (rank, id), then their dependants (advance_nodes). Those of running jobs are nobody's child any more.
create or replace function pgqueue.settle_nodes(ended jsonb, at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := array(select (e ->> 'id')::bigint from jsonb_array_elements(ended) e);
  _undos bigint[];
begin
  perform from pgqueue.flow_nodes n where n.id = any (_ids) order by n.rank, n.id for no key update;
  with gone as (
    update pgqueue.flow_nodes n set outcome = e.outcome, result = e.result, ended_at = at, blocked = false
    from jsonb_to_recordset(ended) as e (id bigint, outcome text, result jsonb)
    where n.id = any (_ids) and n.id = e.id and n.outcome is null
    returning n.id, n.role, n.outcome
  )
  select array_agg(g.id), array_agg(g.id) filter (where g.role = 'undo' and g.outcome = 'dead') into _ids, _undos from gone g;
  if _ids is not null then
    perform pgqueue.advance_nodes(_ids, '{}', at);
  end if;
  if _undos is not null then
    perform pgqueue.tell_undone(u) from unnest(_undos) u;
  end if;
end $$;

-- Names, in the dead letter of an undo, what stays undone until it is retried: itself, and the undos that wait for it.
create or replace function pgqueue.tell_undone(id bigint) returns void
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _left jsonb;
begin
  select jsonb_agg(jsonb_build_object('id', u.id, 'task', u.task, 'name', u.name) order by u.id = tell_undone.id desc, u.place desc) into _left
  from pgqueue.flow_nodes u
  where u.flow_id = (select n.flow_id from pgqueue.flow_nodes n where n.id = tell_undone.id) and u.role = 'undo'
    and (u.outcome is null or u.id = tell_undone.id);
  update pgqueue.dead_jobs d
  set error = d.error || jsonb_build_object('undone', _left, 'message', concat(d.error ->> 'message', '; left undone: ',
    (select string_agg(format('%s (job %s)', coalesce(l ->> 'name', l ->> 'task'), l ->> 'id'), ', ') from jsonb_array_elements(_left) l)))
  where d.id = tell_undone.id;
end $$;
-- functions/29_advance_nodes.sql
drop function pgqueue.end_blocked;
drop function pgqueue.let_go;
drop function pgqueue.lock_reach;
drop function pgqueue.advance_nodes;
-- Tells the children of nodes that have ended (`ended`), judges nodes whose counts are as they should be (`ready`), and goes on with those
-- that end by this, in a loop: however long a chain of barriers and cancellations is, nothing recurses.
-- I6: it runs in the transaction that settled the parents, and it counts only under the child's lock: the rows are locked by one
-- statement and read by the next, whose snapshot is younger than the commits of all who had them before. So of two transactions that
-- settle two last parents the second sees the first one's count and lets the child go, once: `blocked` ends with that.
-- A gathering child is not waited for: who finds its row locked leaves a delta, and whoever has the row next (the next parent, or
-- fold_nodes) adds up. Both may pass each other only in such a way that a delta stays behind, and fold_nodes looks for those.
-- I14: children are locked by (rank, id), which ascends along every link. All children at hand are locked at once only up to the first
-- one that may end by itself and has children, because these may come before the others. Only where more than 200 are at hand, when
-- something wide fails, all of them are locked at once, or it would take minutes: two such cascades that cross could end in a deadlock,
-- which PostgreSQL breaks, and whose settle is sent again. Jobs that are let go or end are locked after
-- their node; whoever cancels a blocked job has locked its node first (try_waiting).
-- A death right after it: it has committed with the settle, or neither has.
-- Plans: each table is read by an array of ids or by one id (lateral, not pulled up by its offset 0), whatever the
-- statistics say; arrays of thousands of ids meet in hash joins. What a function
-- sets holds in those that it calls, so each says both.
create or replace function pgqueue.advance_nodes(ended bigint[], ready bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = off set enable_hashjoin = on set enable_mergejoin = off
set plan_cache_mode = force_generic_plan set jit = off as $$
#variable_conflict use_column
declare
  _ended bigint[] := ended;
  _ids bigint[];
  _ranks bigint[];
  _gathers boolean[];
  _mays boolean[];
  _pending integer[];
  _breached integer[];
  _missed integer[];
  _hits integer[];
  _upto integer;
  _got bigint[];
  _left bigint[];
  _go bigint[];
  _over bigint[];
begin
  select array_agg(n.id order by n.rank, n.id), array_agg(n.rank order by n.rank, n.id), array_agg(n.gather order by n.rank, n.id),
         array_agg(not n.is_job or n.asks_failure or n.breached > 0 or n.missed > 0 order by n.rank, n.id),
         array_agg(0), array_agg(0), array_agg(0), array_agg(0)
  into _ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits
  from pgqueue.flow_nodes n where n.id = any (ready);
  loop
    if cardinality(_ended) > 0 then
      with told as (
        select c.id, c.rank, c.gather, not c.is_job or c.asks_failure as may, 1 as pending, pgqueue.breaches(l.condition, p.outcome) as breached,
               pgqueue.misses(l.condition, p.outcome) as missed, pgqueue.hits(l.condition, p.outcome, c.verdict) as hits
        from pgqueue.flow_nodes p
        join pgqueue.flow_links l on l.parent_id = p.id and l.parent_id = any (_ended)
        cross join lateral (select n.id, n.rank, n.gather, n.is_job, n.asks_failure, n.verdict from pgqueue.flow_nodes n
                            where n.id = l.child_id and n.blocked offset 0) c
        where p.id = any (_ended)
        union all
        select t.* from unnest(_ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits) as t
      ), sums as (
        select t.id, t.rank, t.gather,
               case when bool_or(t.may or t.breached > 0 or t.missed > 0) then exists (select from pgqueue.flow_links x where x.parent_id = t.id) else false end as may,
               sum(t.pending)::integer as pending,
               sum(t.breached)::integer as breached, sum(t.missed)::integer as missed, sum(t.hits)::integer as hits
        from told t group by t.id, t.rank, t.gather order by t.rank, t.id
      )
      select array_agg(s.id), array_agg(s.rank), array_agg(s.gather), array_agg(s.may), array_agg(s.pending), array_agg(s.breached),
             array_agg(s.missed), array_agg(s.hits)
      into _ids, _ranks, _gathers, _mays, _pending, _breached, _missed, _hits
      from sums s;
    end if;
    exit when coalesce(cardinality(_ids), 0) = 0;
    _upto := case when cardinality(_ids) > 200 then cardinality(_ids) else coalesce(array_position(_mays, true), cardinality(_ids)) end;
    perform from pgqueue.flow_nodes n where n.id = any (_ids[1 : _upto]) and not n.gather order by n.rank, n.id for no key update;
    _left := '{}';
    if true = any (_gathers[1 : _upto]) then
      _got := array(select n.id from pgqueue.flow_nodes n
                    where n.id = any (array(select g.id from unnest(_ids[1 : _upto], _gathers[1 : _upto]) as g (id, gather) where g.gather)) and n.gather
                    order by n.rank, n.id for no key update skip locked);
      _left := array(select g.id from unnest(_ids[1 : _upto], _gathers[1 : _upto]) as g (id, gather) where g.gather and g.id <> all (_got));
      insert into pgqueue.flow_deltas (child_id, pending, breached, missed, hits)
      select t.id, t.pending, t.breached, t.missed, t.hits
      from unnest(_ids[1 : _upto], _pending[1 : _upto], _breached[1 : _upto], _missed[1 : _upto], _hits[1 : _upto]) as t (id, pending, breached, missed, hits)
      where t.id = any (_left) and t.pending <> 0;
    end if;
    with folded as (
      delete from pgqueue.flow_deltas d where true = any (_gathers[1 : _upto]) and d.child_id = any (_got)
      returning d.child_id as id, d.pending, d.breached, d.missed, d.hits
    ), sums as (
      select t.id, sum(t.pending)::integer as pending, sum(t.breached)::integer as breached, sum(t.missed)::integer as missed, sum(t.hits)::integer as hits
      from (select f.id, f.pending, f.breached, f.missed, f.hits from folded f
            union all
            select u.* from unnest(_ids[1 : _upto], _pending[1 : _upto], _breached[1 : _upto], _missed[1 : _upto], _hits[1 : _upto]) as u) t
      group by t.id
    ), judged as (
      select n.id, n.pending - s.pending as pending, n.breached + s.breached as breached, n.missed + s.missed as missed, n.hits + s.hits as hits,
             pgqueue.judge(n.pending - s.pending, n.breached + s.breached, n.missed + s.missed, n.hits + s.hits, n.asks_failure, n.verdict,
                           n.on_failure, n.patient) as outcome
      from sums s join pgqueue.flow_nodes n on n.id = s.id
      where n.id = any (_ids[1 : _upto]) and n.blocked and n.id <> all (_left)
    ), counted as (
      update pgqueue.flow_nodes n
      set pending = j.pending, breached = j.breached, missed = j.missed, hits = j.hits, blocked = j.outcome is null,
          outcome = case when not n.is_job or j.outcome <> 'succeeded' then j.outcome end,
          ended_at = case when not n.is_job or j.outcome <> 'succeeded' then at end
      from judged j where n.id = any (_ids[1 : _upto]) and n.id = j.id
      returning n.id, n.rank, n.is_job, n.blocked, n.outcome
    )
    select array_agg(c.id order by c.id) filter (where not c.blocked and c.outcome is null), array_agg(c.id) filter (where c.outcome is not null),
           array_agg(c.id order by c.id) filter (where c.is_job and c.outcome is not null)
    into _go, _ended, _over
    from counted c;
    if _go is not null then
      perform pgqueue.let_go(_go, at);
    end if;
    if _over is not null then
      perform pgqueue.end_blocked(_over, at);
    end if;
    _ids := _ids[_upto + 1 :];
    _ranks := _ranks[_upto + 1 :];
    _gathers := _gathers[_upto + 1 :];
    _mays := _mays[_upto + 1 :];
    _pending := _pending[_upto + 1 :];
    _breached := _breached[_upto + 1 :];
    _missed := _missed[_upto + 1 :];
    _hits := _hits[_upto + 1 :];
  end loop;
end $$;

-- Lets blocked jobs go: they are due from now on, or when they were meant to be. Locks: the jobs in id order.
create or replace function pgqueue.let_go(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _queues text[];
begin
  perform from pgqueue.queued_jobs j where j.id = any (ids) order by j.id for no key update;
  with gone as (
    update pgqueue.queued_jobs j set run_at = greatest((select n.due from pgqueue.flow_nodes n where n.id = j.id), at)
    where j.id = any (ids) and j.worker_id is null
    returning j.queue, j.run_at
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from gone g where g.run_at < at + interval '10 s';
  perform pgqueue.wake(q) from unnest(_queues) q;
end $$;

-- Ends the jobs of nodes that will not run, as their nodes say: cancelled (skipped is a reason), or dead letters that name the parent that
-- failed. A reason that is given is told instead. Their dependants are told by the caller. They were parked and hold no permits. Locks: the jobs in id order, their keys.
create or replace function pgqueue.end_blocked(ids bigint[], at timestamptz, reason text default null) returns void
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_nestloop = on set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  perform pgqueue.ensure_day(at);
  perform from pgqueue.queued_jobs j where j.id = any (ids) order by j.id for update;
  with gone as (
    delete from pgqueue.queued_jobs j where j.id = any (ids)
    returning j.id, j.run_at, j.created_at, j.args_day, j.attempt, j.priority, j.failures, j.losses, j.max_attempts, j.suspect, j.queue, j.task,
              j.key, j.timeout
  ), told as materialized (
    select g.*, n.outcome, coalesce(n.due, at) as due,
           case when reason is not null or n.outcome = 'skipped' then jsonb_build_object('type', 'Cancelled', 'message', coalesce(reason, 'skipped'))
                else jsonb_build_object('type', case n.outcome when 'dead' then 'ParentFailed' else 'Cancelled' end, 'message', coalesce((
                  select format('it waited for %s, which ended as %s', case when p.is_job then format('job %s (%s)', p.id, p.task) else 'barrier ' || p.id end, p.outcome)
                  from pgqueue.flow_links l
                  cross join lateral (select x.id, x.is_job, x.task, x.outcome from pgqueue.flow_nodes x where x.id = l.parent_id offset 0) p
                  where l.child_id = g.id and pgqueue.breaches(l.condition, p.outcome) > 0 order by l.place limit 1), 'a job that it waited for failed')) end as error
    from gone g cross join lateral (select x.outcome, x.due from pgqueue.flow_nodes x where x.id = g.id offset 0) n
  ), finished as (
    insert into pgqueue.finished_jobs (id, finished_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, succeeded,
                                       suspect, queue, task, key, timeout, error)
    select t.id, at, t.due, t.created_at, t.args_day, t.attempt, t.priority, t.failures, t.losses, t.max_attempts, false, t.suspect, t.queue,
           t.task, t.key, t.timeout, t.error
    from told t where t.outcome <> 'dead'
  ), evidence as (
    delete from pgqueue.job_attempts a where a.job_id = any (array(select t.id from told t where t.outcome = 'dead'))
    returning a.job_id, a.attempt, pgqueue.attempt_evidence(a.attempt, a.worker_id, a.started_at, a.finished_at, a.outcome, a.error) as attempt_row
  ), died as (
    insert into pgqueue.dead_jobs (id, died_at, run_at, created_at, args_day, attempt, priority, failures, losses, max_attempts, suspect, queue,
                                   task, key, timeout, error, attempts)
    select t.id, at, t.due, t.created_at, t.args_day, t.attempt, t.priority, t.failures, t.losses, t.max_attempts, t.suspect, t.queue, t.task,
           t.key, t.timeout, t.error,
           coalesce((select jsonb_agg(e.attempt_row order by e.attempt)
                     from (select x.attempt_row, x.attempt from evidence x where x.job_id = t.id order by x.attempt desc limit 100) e), '[]')
    from told t where t.outcome = 'dead'
  ), asked as (
    delete from pgqueue.cancel_requests c where c.job_id = any (ids)
  )
  delete from pgqueue.job_keys k using told t
  where k.queue = t.queue and k.key = t.key and k.job_id = t.id and (t.outcome = 'dead' or k.until is null or k.until <= at);
end $$;
-- functions/27_enqueue_many.sql
-- Enqueues an array of jobs, objects with the names of enqueue's arguments, in one statement and one round trip, and returns their ids in
-- the order given. Keys are as in enqueue; of two jobs with one key in the same array the first holds it.
-- Raises PQ002, PQ004 as enqueue does, with the place in the array (from 0); then nothing of it is added.
-- Locks: keys in the order of (queue, key), then jobs to replace in id order, so that producers of overlapping arrays cannot deadlock.
create or replace function pgqueue.enqueue_many(jobs jsonb) returns setof bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := pgqueue.ensure_day(_now);
  _ids bigint[];
  _queues text[];
  _queue text;
  _keyed boolean;
  _gated boolean;
  _bad record;
begin
  if jobs is null or jsonb_typeof(jobs) <> 'array' then
    raise exception using errcode = 'PQ004',
      message = format('enqueue_many: jobs must be a JSON array of objects, got %s', coalesce(jsonb_typeof(jobs), 'null'));
  end if;
  perform pgqueue.check_new_jobs(jobs);
  select array_agg(nextval('pgqueue.job_ids')), coalesce(bool_or(job ? 'key'), false), coalesce(bool_or(job ?| array['group_key', 'limits', 'fair_key']), false)
  into _ids, _keyed, _gated from jsonb_array_elements(jobs) job;
  if _keyed then
    _ids := pgqueue.hold_keys(jobs, _ids, _now);
  end if;

  with given as materialized (
    select _ids[place] as id, coalesce(g.run_at, _now + g.delay, _now) as due, coalesce(g.args, '{}') as args, g.meta, g.priority,
           g.expires_at, g.max_attempts, g.timeout, coalesce(g.queue, 'default') as queue, g.task, g.key,
           case when _gated then pgqueue.job_gates(g.group_key, g.group_retry, g.limits, g.fair_key) end as gates
    from rows from (jsonb_to_recordset(jobs) as (task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
      max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, delay interval, group_key text, group_retry text, limits jsonb, fair_key text)) with ordinality
      as g (task, args, queue, priority, run_at, key, max_attempts, timeout, expires_at, meta, delay, group_key, group_retry, limits, fair_key, place)
    where _ids[place] > 0
  ), arguments as (
    insert into pgqueue.job_args (id, day, args, meta, gates) select g.id, _day, g.args, g.meta, g.gates from given g
  ), queued as (
    insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
    select g.id, g.due, _now, _day, coalesce(g.priority, 0), g.expires_at, g.max_attempts, g.timeout, g.queue, g.task, g.key, g.gates is not null from given g
  )
  select array_agg(distinct g.queue order by g.queue) into _queues from given g where g.due < _now + interval '10 s';

  if _gated then
    perform pgqueue.line_up(_ids, _now);
  end if;
  if _keyed then
    return query select * from pgqueue.meet_holders(jobs, _ids, _now, _day);
  else
    return query select unnest(_ids);
  end if;
  foreach _queue in array coalesce(_queues, '{}') loop
    perform pgqueue.wake(_queue);
  end loop;
end $$;
-- functions/26_many_keys.sql
-- Takes the keys of an array of new jobs whose ids are drawn, and returns the ids: of a job whose key another has, that job's
-- id, negated. Locks: keys in the order of (queue, key), whatever the order of the array.
create or replace function pgqueue.hold_keys(jobs jsonb, ids bigint[], at timestamptz) returns bigint[]
language plpgsql as $$
declare
  _ids bigint[] := ids;
  _new record;
  _holder bigint;
begin
  for _new in
    select g.place, coalesce(g.job ->> 'queue', 'default') as queue, g.job ->> 'key' as key, at + (g.job ->> 'key_period')::interval as until
    from jsonb_array_elements(jobs) with ordinality as g (job, place)
    where g.job ->> 'key' is not null
    order by coalesce(g.job ->> 'queue', 'default') collate "C", (g.job ->> 'key') collate "C", g.place
  loop
    _holder := pgqueue.hold_key(_ids[_new.place], _new.queue, _new.key, _new.until);
    if _holder is not null then
      _ids[_new.place] := -_holder;
    end if;
  end loop;
  return _ids;
end $$;

-- The second half, once the new jobs are stored: applies the policy of each job whose key another has, and returns all ids in the
-- order of the array. Locks: the holders in id order, whatever the order of the array, or two replacing arrays could deadlock.
create or replace function pgqueue.meet_holders(jobs jsonb, ids bigint[], at timestamptz, day date) returns setof bigint
language plpgsql as $$
declare
  _ids bigint[] := ids;
  _place integer;
  _job jsonb;
begin
  for _place in select g.place from unnest(ids) with ordinality as g (id, place) where g.id < 0 order by -g.id, g.place loop
    _job := jobs -> (_place - 1);
    _ids[_place] := pgqueue.meet_holder(
        -ids[_place], _job ->> 'task', coalesce(nullif(_job -> 'args', 'null'), '{}'), coalesce(_job ->> 'queue', 'default'),
        (_job ->> 'priority')::integer, coalesce((_job ->> 'run_at')::timestamptz, at + (_job ->> 'delay')::interval, at),
        _job ->> 'key', coalesce(_job ->> 'key_policy', 'skip'), (_job ->> 'max_attempts')::integer, (_job ->> 'timeout')::interval,
        (_job ->> 'expires_at')::timestamptz, nullif(_job -> 'meta', 'null'), day, format('jobs[%s]: ', _place - 1));
  end loop;
  return query select unnest(_ids);
end $$;
-- functions/25_enqueue_special.sql
-- Enqueues a job that is more than a task, arguments and a queue; see enqueue. Looks for errors only where there may be one.
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument. Locks: the key's row.
create or replace function pgqueue.enqueue_special(task text, args jsonb, queue text, priority integer, run_at timestamptz, key text,
  group_key text, max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, key_policy text,
  key_period interval, delay interval, limits jsonb, fair_key text, group_retry text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _queue constant text := coalesce(queue, 'default');
  _day constant date := pgqueue.ensure_day(_now);
  _due timestamptz;
  _id bigint;
  _holder bigint;
  _error text;
  _gates jsonb;
begin
  _error := pgqueue.new_job_error(jsonb_strip_nulls(jsonb_build_object(
    'task', task, 'args', args, 'queue', queue, 'priority', priority, 'run_at', run_at, 'key', key, 'group_key', group_key,
    'max_attempts', max_attempts, 'timeout', timeout, 'expires_at', expires_at, 'meta', meta, 'key_policy', key_policy,
    'key_period', key_period, 'delay', delay, 'limits', limits, 'fair_key', fair_key, 'group_retry', group_retry)));
  if _error is not null then
    raise exception using errcode = split_part(_error, ' ', 1), message = substr(_error, strpos(_error, ' ') + 1);
  end if;
  args := coalesce(nullif(args, 'null'), '{}');
  meta := nullif(meta, 'null');
  perform set_config('pgq.day_seen', 'pgqueue' || _day, false);
  _due := coalesce(run_at, _now + delay, _now);
  _id := nextval('pgqueue.job_ids');
  if key is not null then
    _holder := pgqueue.hold_key(_id, _queue, key, _now + key_period);
    if _holder is not null then
      return pgqueue.meet_holder(_holder, task, args, _queue, priority, _due, key, key_policy, max_attempts, timeout, expires_at, meta, _day);
    end if;
  end if;
  _gates := pgqueue.job_gates(group_key, group_retry, limits, fair_key);
  with argument as (
    insert into pgqueue.job_args (id, day, args, meta, gates) values (_id, _day, args, meta, _gates)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, priority, expires_at, max_attempts, timeout, queue, task, key, gated)
  values (_id, _due, _now, _day, coalesce(priority, 0), expires_at, max_attempts, timeout, _queue, task, key, _gates is not null);
  if _gates ?| array['group', 'fair'] then
    perform pgqueue.line_up(array[_id], _now);
  end if;
  if _due < _now + interval '10 s' then
    perform pgqueue.wake(_queue);
  end if;
  return _id;
end $$;
-- functions/25_enqueue.sql
-- Enqueues one job in the caller's transaction and returns its id: the job exists exactly when that transaction commits (I1).
-- With a key that another job holds nothing is added, and that job's id is returned; key_policy says what else happens:
-- skip nothing, replace gives a job that has not started these contents, raise is an error.
--   priority    -100 to 100, lower runs first            run_at, delay  when it is due, by the database's clock (not both)
--   key_period  how long the key holds at least, from now; without it the key holds until the job is finished
--   max_attempts, timeout  null: the task's own policy, known to the worker
--   expires_at  from then on it is cancelled instead of run
--   group_key   jobs of a queue with this key run one at a time, in the order of their ids; a retry keeps the turn unless group_retry is 'pass'
--   limits      names of limits, or {name: key}, or {name: {"key": key, "weight": n}}: it runs when it gets a share of all of them
--   fair_key    whose share of the queue it takes, if the queue shares fairly
-- The plain job takes a short way: with many producers each expression costs, their caches being cold (benchmarks/enqueue.py).
-- Raises PQ002 key taken (policy raise), PQ004 invalid argument. Locks: the key's row.
create or replace function pgqueue.enqueue(task text, args jsonb default '{}', queue text default null, priority integer default null,
  run_at timestamptz default null, key text default null, group_key text default null, max_attempts integer default null,
  timeout interval default null, expires_at timestamptz default null, meta jsonb default null, key_policy text default 'skip',
  key_period interval default null, delay interval default null, limits jsonb default null, fair_key text default null,
  group_retry text default null) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  _now constant timestamptz := clock_timestamp();
  _day constant date := (_now at time zone 'UTC')::date;
  _queue constant text := coalesce(queue, 'default');
  _id bigint;
begin
  if (num_nulls(priority, run_at, key, group_key, max_attempts, timeout, expires_at, meta, key_period, delay, limits, fair_key,
                group_retry) = 13 and key_policy = 'skip'
      and args @> '{}' and pg_column_size(args) <= 65536 and octet_length(task) between 1 and 500 and octet_length(_queue) between 1 and 200
      and current_setting('pgq.day_seen', true) = 'pgqueue' || _day) is not true then  -- a session looks for the day's partitions once
    return pgqueue.enqueue_special(task, args, queue, priority, run_at, key, group_key, max_attempts, timeout, expires_at,
                                   meta, key_policy, key_period, delay, limits, fair_key, group_retry);
  end if;
  _id := nextval('pgqueue.job_ids');
  with argument as (
    insert into pgqueue.job_args (id, day, args) values (_id, _day, args)
  )
  insert into pgqueue.queued_jobs (id, run_at, created_at, args_day, queue, task) values (_id, _now, _now, _day, _queue, task);
  perform pgqueue.wake(_queue);
  return _id;
end $$;
-- functions/24_meet_holder.sql
drop function pgqueue.meet_holder;
-- What a request does when another job holds its key: returns the holder's id, after replacing its contents if that is the
-- policy and it has not started. Raises PQ002 under the policy `raise`; `place` begins its message. Locks: as replace_job.
create or replace function pgqueue.meet_holder(holder bigint, task text, args jsonb, queue text, priority integer, run_at timestamptz,
  key text, key_policy text, max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date, place text default '') returns bigint
language plpgsql as $$
begin
  if key_policy = 'raise' then
    raise exception using errcode = 'PQ002',
      message = place || format('cannot enqueue task %L: key %L of queue %L is held by job %s', task, key, queue, holder),
      hint = holder::text;
  elsif key_policy = 'replace' then
    if pgqueue.replace_job(holder, task, args, coalesce(priority, 0), run_at, max_attempts, timeout, expires_at, meta, day)
       and run_at < clock_timestamp() + interval '10 s' then
      perform pgqueue.wake(queue);
    end if;
  end if;
  return holder;
end $$;
-- functions/23_replace_job.sql
drop function pgqueue.replace_job;
-- Gives a waiting job the contents of a newer request with its key, and says whether it did: a job that has started keeps what it
-- started with. Its id, creation time, attempts and gates stay. A job that waits for others goes on waiting for them; one that stood
-- in a line comes to it again when it is due. New arguments are a new row: job_args is append-only, but a job's row of today may be
-- there already, so a change on the same day is an update.
-- Locks: the job's row, for which it may wait while a claim or another replacement of it commits.
create or replace function pgqueue.replace_job(id bigint, task text, args jsonb, priority integer, run_at timestamptz,
  max_attempts integer, timeout interval, expires_at timestamptz, meta jsonb, day date) returns boolean
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _day date;
  _in_line boolean;
begin
  select j.args_day into _day from pgqueue.queued_jobs j where j.id = replace_job.id and j.worker_id is null for update;
  if not found then
    return false;
  end if;
  delete from pgqueue.lane_waits w where w.job_id = replace_job.id;
  _in_line := found;
  update pgqueue.queued_jobs j
  set task = replace_job.task, priority = replace_job.priority,
      run_at = case when j.run_at = 'infinity' and not _in_line then j.run_at else replace_job.run_at end,
      max_attempts = replace_job.max_attempts, timeout = replace_job.timeout, expires_at = replace_job.expires_at,
      args_day = replace_job.day
  where j.id = replace_job.id and j.worker_id is null;
  insert into pgqueue.job_args as a (id, day, args, meta, gates)
  select replace_job.id, replace_job.day, replace_job.args, replace_job.meta, o.gates
  from (select 1) one left join pgqueue.job_args o on o.id = replace_job.id and o.day = _day
  on conflict (id, day) do update set args = excluded.args, meta = excluded.meta;
  if _in_line then
    perform pgqueue.line_up(array[id], clock_timestamp());
  end if;
  return true;
end $$;
-- functions/14_make_partitions.sql
-- Makes the daily partitions from `first_day` on, as far as they are missing, and returns how many it made. Made as plain
-- tables that are then attached, so that readers and writers of the parents go on (SHARE UPDATE EXCLUSIVE).
-- Locks: one advisory lock of this installation, then the parents in the order of the array.
create or replace function pgqueue.make_partitions(first_day date, days integer default 14) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _schema constant text := pgqueue.schema_name();
  _parent text;
  _day date;
  _name text;
  _made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('pgqueue' || chr(31) || 'partitions', 20261122));
  foreach _parent in array array['finished_jobs', 'job_args', 'job_attempts'] loop
    for _offset in 0 .. days - 1 loop
      _day := first_day + _offset;
      _name := _parent || to_char(_day, '_YYYYMMDD');
      continue when to_regclass(format('%I.%I', _schema, _name)) is not null;
      execute format('create table %I.%I (like %I.%I including defaults including constraints)',
                     _schema, _name, _schema, _parent);
      if _parent = 'job_args' then
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day, _day + 1);
      else
        execute format('alter table %I.%I attach partition %I.%I for values from (%L) to (%L)',
                       _schema, _parent, _schema, _name, _day || ' 00:00:00+00', (_day + 1) || ' 00:00:00+00');
      end if;
      _made := _made + 1;
    end loop;
  end loop;
  return _made;
end $$;
-- functions/13_wake.sql
-- Wakes the workers that sleep on a queue, at this transaction's commit, and returns whether any may sleep. A notification takes a
-- lock that all committing notifiers share, so it is sent only when somebody sleeps: sleepers hold a shared advisory lock, and
-- taking the exclusive one fails then. The lock is given back at once and decides nothing but the wake-up: a wake-up that is
-- missed costs at most the poll interval. Never waits. In SQL, so that the planner makes it part of its caller.
create or replace function pgqueue.wake(queue text) returns boolean
language sql volatile
return case when pg_try_advisory_lock(pgqueue.wake_key(queue)) then not pg_advisory_unlock(pgqueue.wake_key(queue))
            else pg_notify(pgqueue.wake_channel(queue), '') is not null end;
-- functions/12_version_parts.sql
-- gone
drop function pgqueue.version_parts;
-- functions/12_role_name.sql
-- gone
drop function pgqueue.role_name;

-- Takes back what 0002_hardening.tables.sql added.


alter table pgqueue.worker_processes drop column version, drop column stuck, drop column stuck_since;
drop table pgqueue.incident_log;
drop table pgqueue.compatibility;
drop index pgqueue.dead_jobs_time;
drop table pgqueue.statistics_minutes, pgqueue.statistics_sums, pgqueue.statistics_state, pgqueue.depth_minutes, pgqueue.overall_minutes;
drop table pgqueue.audit_log;
drop table pgqueue.queue_quotas cascade;  -- its sequences, which it owns
drop table pgqueue.attempt_lines;
drop table pgqueue.failover_jobs, pgqueue.failovers;

-- What the roles may do here ends; they themselves stay, since other databases of this server may use them.
do $$
declare
  _role text;
begin
  for _role in
    select r.rolname from pg_catalog.pg_roles r,
      unnest(array['producer', 'worker', 'viewer', 'admin']) k
    where r.rolname = case when octet_length('pgqueue') <= 54 and 'pgqueue' <> 'pg' then 'pgqueue' else 'pgq_' || md5('pgqueue') end || '_' || k
  loop
    execute format('revoke all on all tables in schema %I from %I', 'pgqueue', _role);
    execute format('revoke all on all sequences in schema %I from %I', 'pgqueue', _role);
    execute format('revoke all on all functions in schema %I from %I', 'pgqueue', _role);
    execute format('revoke all on schema %I from %I', 'pgqueue', _role);
  end loop;
end $$;
