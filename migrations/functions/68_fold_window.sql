-- Two histograms as one.
create function pgqueue.sum_buckets(a bigint[], b bigint[]) returns bigint[]
language sql immutable parallel safe
return array(select x.n + x.m from unnest(a, b) with ordinality as x (n, m, place) order by x.place);

-- Adds the attempts that ended after from_at and not after to_at to the statistics. Returns how many. For fold_statistics, which makes sure
-- that windows do not overlap. Attempts that are evidence of a dead letter are read there, those that a redrive put back into job_attempts by
-- the time at which they ended: wherever one is, it is in one place at a time and counts by its own time. (Of attempts that were put back more
-- than 10 minutes after they ended a fold that is as late does not know: else one that catches up would read everything since, each time.)
-- Locks: rows of the statistics.
create function pgqueue.fold_window(from_at timestamptz, to_at timestamptz) returns bigint
language plpgsql set enable_seqscan = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  _attempts bigint;
begin
  with ended as (
    select f.finished_at, f.queue, f.task, case when f.succeeded then 'succeeded' else 'cancelled' end as outcome,
           date_part('epoch', f.started_at - f.run_at) as wait, date_part('epoch', f.finished_at - f.started_at) as run
    from pgqueue.finished_jobs f
    where f.finished_at > from_at and f.finished_at <= to_at and f.worker_id is not null
    union all
    select t.finished_at, j.queue, j.task, t.outcome, null,
           case when t.outcome not in ('lost', 'released') then date_part('epoch', t.finished_at - t.started_at) end
    from pgqueue.job_attempts t
    cross join lateral (select q.queue, q.task from pgqueue.queued_jobs q where q.id = t.job_id
                        union all
                        select f.queue, f.task from pgqueue.finished_jobs f where f.id = t.job_id and f.finished_at > from_at
                        limit 1) j
    where t.logged_at > from_at and t.logged_at <= to_at + interval '10 minutes' and t.finished_at > from_at and t.finished_at <= to_at
    union all
    select e.finished_at, d.queue, d.task, e.outcome,
           case when e.attempt = d.attempt then date_part('epoch', d.started_at - d.run_at) end,
           case when e.outcome not in ('lost', 'released') then date_part('epoch', e.finished_at - e.started_at) end
    from pgqueue.dead_jobs d
    cross join lateral jsonb_to_recordset(d.attempts) as e (attempt integer, started_at timestamptz, finished_at timestamptz, outcome text)
    where d.died_at > from_at and d.created_at <= to_at and e.finished_at > from_at and e.finished_at <= to_at
  ), counted as materialized (
    select date_bin('1 minute', e.finished_at, '2000-01-01 00:00:00+00') as minute, e.queue, e.task, e.outcome,
           pgqueue.bucket_of(e.wait) as wait_place, pgqueue.bucket_of(e.run) as run_place,
           count(*) as n, sum(greatest(e.wait, 0)) as wait, sum(greatest(e.run, 0)) as run
    from ended e group by 1, 2, 3, 4, 5, 6
  ), minutes as (
    select c.minute, c.queue, c.task,
           coalesce(sum(c.n) filter (where c.outcome = 'succeeded'), 0)::bigint as succeeded,
           coalesce(sum(c.n) filter (where c.outcome = 'failed'), 0)::bigint as failed,
           coalesce(sum(c.n) filter (where c.outcome = 'dead'), 0)::bigint as dead,
           coalesce(sum(c.n) filter (where c.outcome = 'cancelled'), 0)::bigint as cancelled,
           coalesce(sum(c.n) filter (where c.outcome = 'lost'), 0)::bigint as lost,
           coalesce(sum(c.n) filter (where c.outcome = 'snoozed'), 0)::bigint as snoozed,
           coalesce(sum(c.n) filter (where c.outcome = 'released'), 0)::bigint as released,
           coalesce(sum(c.wait), 0) as wait_seconds, coalesce(sum(c.run), 0) as run_seconds,
           array_replace(array[sum(c.n) filter (where c.wait_place = 1), sum(c.n) filter (where c.wait_place = 2), sum(c.n) filter (where c.wait_place = 3),
           sum(c.n) filter (where c.wait_place = 4), sum(c.n) filter (where c.wait_place = 5), sum(c.n) filter (where c.wait_place = 6), sum(c.n)
           filter (where c.wait_place = 7), sum(c.n) filter (where c.wait_place = 8), sum(c.n) filter (where c.wait_place = 9), sum(c.n) filter (where
           c.wait_place = 10), sum(c.n) filter (where c.wait_place = 11), sum(c.n) filter (where c.wait_place = 12), sum(c.n) filter (where
           c.wait_place = 13), sum(c.n) filter (where c.wait_place = 14), sum(c.n) filter (where c.wait_place = 15), sum(c.n) filter (where
           c.wait_place = 16)]::bigint[], null, 0) as wait_buckets,
           array_replace(array[sum(c.n) filter (where c.run_place = 1), sum(c.n) filter (where c.run_place = 2), sum(c.n) filter (where c.run_place = 3),
           sum(c.n) filter (where c.run_place = 4), sum(c.n) filter (where c.run_place = 5), sum(c.n) filter (where c.run_place = 6), sum(c.n) filter
           (where c.run_place = 7), sum(c.n) filter (where c.run_place = 8), sum(c.n) filter (where c.run_place = 9), sum(c.n) filter (where
           c.run_place = 10), sum(c.n) filter (where c.run_place = 11), sum(c.n) filter (where c.run_place = 12), sum(c.n) filter (where c.run_place =
           13), sum(c.n) filter (where c.run_place = 14), sum(c.n) filter (where c.run_place = 15), sum(c.n) filter (where c.run_place =
           16)]::bigint[], null, 0) as run_buckets
    from counted c group by c.minute, c.queue, c.task
  ), sums as (
    select c.queue, c.task,
           coalesce(sum(c.n) filter (where c.outcome = 'succeeded'), 0)::bigint as succeeded,
           coalesce(sum(c.n) filter (where c.outcome = 'failed'), 0)::bigint as failed,
           coalesce(sum(c.n) filter (where c.outcome = 'dead'), 0)::bigint as dead,
           coalesce(sum(c.n) filter (where c.outcome = 'cancelled'), 0)::bigint as cancelled,
           coalesce(sum(c.n) filter (where c.outcome = 'lost'), 0)::bigint as lost,
           coalesce(sum(c.n) filter (where c.outcome = 'snoozed'), 0)::bigint as snoozed,
           coalesce(sum(c.n) filter (where c.outcome = 'released'), 0)::bigint as released,
           coalesce(sum(c.wait), 0) as wait_seconds, coalesce(sum(c.run), 0) as run_seconds,
           array_replace(array[sum(c.n) filter (where c.wait_place = 1), sum(c.n) filter (where c.wait_place = 2), sum(c.n) filter (where c.wait_place = 3),
           sum(c.n) filter (where c.wait_place = 4), sum(c.n) filter (where c.wait_place = 5), sum(c.n) filter (where c.wait_place = 6), sum(c.n)
           filter (where c.wait_place = 7), sum(c.n) filter (where c.wait_place = 8), sum(c.n) filter (where c.wait_place = 9), sum(c.n) filter (where
           c.wait_place = 10), sum(c.n) filter (where c.wait_place = 11), sum(c.n) filter (where c.wait_place = 12), sum(c.n) filter (where
           c.wait_place = 13), sum(c.n) filter (where c.wait_place = 14), sum(c.n) filter (where c.wait_place = 15), sum(c.n) filter (where
           c.wait_place = 16)]::bigint[], null, 0) as wait_buckets,
           array_replace(array[sum(c.n) filter (where c.run_place = 1), sum(c.n) filter (where c.run_place = 2), sum(c.n) filter (where c.run_place = 3),
           sum(c.n) filter (where c.run_place = 4), sum(c.n) filter (where c.run_place = 5), sum(c.n) filter (where c.run_place = 6), sum(c.n) filter
           (where c.run_place = 7), sum(c.n) filter (where c.run_place = 8), sum(c.n) filter (where c.run_place = 9), sum(c.n) filter (where
           c.run_place = 10), sum(c.n) filter (where c.run_place = 11), sum(c.n) filter (where c.run_place = 12), sum(c.n) filter (where c.run_place =
           13), sum(c.n) filter (where c.run_place = 14), sum(c.n) filter (where c.run_place = 15), sum(c.n) filter (where c.run_place =
           16)]::bigint[], null, 0) as run_buckets
    from counted c group by c.queue, c.task
  ), added as (
    insert into pgqueue.statistics_minutes as m (minute, queue, task, succeeded, failed, dead, cancelled, lost, snoozed, released, wait_seconds, wait_buckets, run_seconds, run_buckets)
    select s.minute, s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released, s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
    from minutes s
    on conflict (minute, queue, task)
      do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed, dead = m.dead + excluded.dead, cancelled =
      m.cancelled + excluded.cancelled, lost = m.lost + excluded.lost, snoozed = m.snoozed + excluded.snoozed, released = m.released +
      excluded.released, wait_seconds = m.wait_seconds + excluded.wait_seconds, run_seconds = m.run_seconds + excluded.run_seconds, wait_buckets =
      pgqueue.sum_buckets(m.wait_buckets, excluded.wait_buckets), run_buckets = pgqueue.sum_buckets(m.run_buckets, excluded.run_buckets)
  ), overall as (
    insert into pgqueue.overall_minutes as m (minute, succeeded, failed)
    select s.minute, sum(s.succeeded), sum(s.failed + s.dead + s.lost) from minutes s group by s.minute
    on conflict (minute) do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed
  ), grown as (
    insert into pgqueue.statistics_sums as m (queue, task, succeeded, failed, dead, cancelled, lost, snoozed, released, wait_seconds, wait_buckets, run_seconds, run_buckets)
    select s.queue, s.task, s.succeeded, s.failed, s.dead, s.cancelled, s.lost, s.snoozed, s.released, s.wait_seconds, s.wait_buckets, s.run_seconds, s.run_buckets
    from sums s
    on conflict (queue, task)
      do update set succeeded = m.succeeded + excluded.succeeded, failed = m.failed + excluded.failed, dead = m.dead + excluded.dead, cancelled =
      m.cancelled + excluded.cancelled, lost = m.lost + excluded.lost, snoozed = m.snoozed + excluded.snoozed, released = m.released +
      excluded.released, wait_seconds = m.wait_seconds + excluded.wait_seconds, run_seconds = m.run_seconds + excluded.run_seconds, wait_buckets =
      pgqueue.sum_buckets(m.wait_buckets, excluded.wait_buckets), run_buckets = pgqueue.sum_buckets(m.run_buckets, excluded.run_buckets),
      counted_at = now()
  )
  select coalesce(sum(c.n), 0) into _attempts from counted c;
  return _attempts;
end $$;
