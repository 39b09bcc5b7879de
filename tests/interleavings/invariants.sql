-- The invariants I1 to I16 as questions about the database: a row for each violation, its number and what is wrong. All hold whenever
-- every session is between two transactions. I14 (nobody deadlocks, no error but our own refusals) is what the runner sees itself.
-- The schema `weave` has what sessions noted in their own transactions:
--   made (id, early)            an id that enqueueing returned; early: before the order began
--   claimed (n, id, attempt, worker, token)
--   said (id, attempt, worker, outcome, accepted)   the answer to a settle of that attempt
--   effects (id, attempt)       what a handler did in the transaction of its `complete`
--   reopened (id), removed (id) what an operator did
with everywhere as materialized (
  select j.id, case when j.worker_id is null then 'waiting' else 'running' end as state, j.attempt, j.failures, j.losses, j.suspect from pgqueue.queued_jobs j
  union all
  select d.id, 'dead', d.attempt, d.failures, d.losses, d.suspect from pgqueue.dead_jobs d
  union all
  select f.id, case when f.succeeded then 'succeeded' else 'cancelled' end, f.attempt, f.failures, f.losses, f.suspect from pgqueue.finished_jobs f
), queued as materialized (
  select j.*, a.gates, a.meta, a.id is null as argless from pgqueue.queued_jobs j left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
), tried as materialized (
  select t.job_id as id, t.attempt, t.worker_id as worker, t.outcome from pgqueue.attempts t
), ticked as materialized (
  select a.id, a.meta ->> 'schedule' as schedule, a.meta ->> 'tick' as tick from pgqueue.job_args a where a.meta ? 'tick'
), shares as materialized (
  select q.id, q.token, q.worker_id, l.key as name, l.value ->> 'key' as key, (l.value ->> 'weight')::integer as weight
  from queued q, jsonb_each(q.gates -> 'limits') l where q.worker_id is not null
)
select 'I1' as invariant, format('job %s was enqueued and is %s times there', m.id, count(e.id)) as wrong
from (select distinct n.id from weave.made n) m left join everywhere e on e.id = m.id
where m.id not in (select r.id from weave.removed r) group by m.id having count(e.id) <> 1
union all
select 'I1', format('job %s is there and nobody enqueued it', e.id) from everywhere e
where e.id not in (select m.id from weave.made m) and e.id not in (select t.id from ticked t)
union all
select 'I2', format('key %s has %s unfinished jobs', q.key, count(*)) from queued q where q.key is not null group by q.queue, q.key having count(*) > 1
union all
select 'I2', format('job %s does not hold its key %s', q.id, q.key) from queued q
where q.key is not null and not exists (select from pgqueue.job_keys k where k.queue = q.queue and k.key = q.key and k.job_id = q.id)
union all
select 'I2', format('job %s holds key %s and is not unfinished', k.job_id, k.key) from pgqueue.job_keys k
where k.until is null and not exists (select from queued q where q.id = k.job_id)
union all
select 'I3', format('job %s: attempt %s, but %s attempts are told (%s)', e.id, e.attempt, count(t.id), string_agg(t.attempt || ' ' || t.outcome, ', ' order by t.attempt))
from everywhere e left join tried t on t.id = e.id
group by e.id, e.state, e.attempt
having count(t.id) + (e.state = 'running')::integer <> e.attempt or count(distinct t.attempt) <> count(t.id)
union all
select 'I3', format('attempt %s of job %s was claimed twice', c.attempt, c.id) from weave.claimed c group by c.id, c.attempt having count(*) > 1
union all
select 'I4', format('attempt %s of job %s was told that it had %s, and its record says %s', s.attempt, s.id, s.outcome, coalesce(t.outcome || ' by ' || t.worker, 'nothing'))
from weave.said s left join tried t on t.id = s.id and t.attempt = s.attempt and t.worker = s.worker
where s.accepted and s.outcome <> 'guarded' and s.id not in (select r.id from weave.removed r)
  and (t.outcome = s.outcome or (s.outcome <> 'succeeded' and t.outcome = 'cancelled')) is not true
union all
select 'I4', format('attempt %s of job %s was told that its lease was lost, and is recorded as succeeded', s.attempt, s.id)
from weave.said s join tried t on t.id = s.id and t.attempt = s.attempt and t.worker = s.worker and t.outcome = 'succeeded'
where s.outcome = 'succeeded' and not s.accepted
  and not exists (select from weave.said o where o.id = s.id and o.attempt = s.attempt and o.accepted)
  and not exists (select from weave.effects o where o.id = s.id and o.attempt = s.attempt)
union all
select 'I4', format('attempt %s of job %s lost its lease while it was guarded', s.attempt, s.id) from weave.said s where s.outcome = 'guarded' and not s.accepted
union all
select 'I3', format('attempt %s of job %s is told as lost, and its worker %s lives', t.attempt, t.id, t.worker) from tried t
join pgqueue.worker_processes w on w.id = t.worker and w.lost_at is null where t.outcome = 'lost'
union all
select 'I5', format('job %s is held by worker %s, whom no rescue will look for', q.id, q.worker_id) from queued q
where q.worker_id is not null and not exists (select from pgqueue.worker_processes w where w.id = q.worker_id and not w.rescued)
union all
select 'I5', format('job %s waits for nothing', q.id) from queued q
where q.run_at = 'infinity' and q.worker_id is null and not exists (select from pgqueue.lane_waits w where w.job_id = q.id)
  and not exists (select from pgqueue.flow_nodes n where n.id = q.id and n.blocked)
union all
select 'I6', format('attempt %s of job %s committed its effect and is not recorded as succeeded', f.attempt, f.id) from weave.effects f
where not exists (select from tried t where t.id = f.id and t.attempt = f.attempt and t.outcome = 'succeeded')
  and f.id not in (select r.id from weave.removed r)
union all
select 'I6', format('job %s had its effect %s times', f.id, count(*)) from weave.effects f group by f.id having count(*) > 1
union all
select 'I6', format('node %s counts %s parents that have not ended, %s have not', n.id, n.told, n.counted)
from (select n.id, n.pending - coalesce((select sum(d.pending) from pgqueue.flow_deltas d where d.child_id = n.id), 0) as told,
             (select count(*) from pgqueue.flow_links l join pgqueue.flow_nodes p on p.id = l.parent_id where l.child_id = n.id and p.outcome is null) as counted
      from pgqueue.flow_nodes n where n.blocked) n
where n.told <> n.counted
union all
select 'I6', format('node %s has no parent to wait for and waits', n.id) from pgqueue.flow_nodes n
where n.blocked and n.pending = 0 and n.breached = 0 and not exists (select from pgqueue.flow_deltas d where d.child_id = n.id)
union all
select 'I6', format('node %s was let go before its parent %s had ended', n.id, l.parent_id)
from pgqueue.flow_nodes n join queued q on q.id = n.id join pgqueue.flow_links l on l.child_id = n.id join pgqueue.flow_nodes p on p.id = l.parent_id
where not n.blocked and q.attempt = 0 and p.outcome is null and l.parent_id not in (
  with recursive again as (  -- jobs that were retried, and with them the ends of their batches: what these had called is called
    select r.id from weave.reopened r
    union
    select e.id from again a join pgqueue.flow_links s on s.parent_id = a.id and s.condition = 'ended'
    join pgqueue.flow_nodes e on e.id = s.child_id and not e.is_job and e.verdict
  )
  select g.id from again g)
union all
select 'I6', format('node %s says %s and its job is %s', n.id, coalesce(n.outcome, 'nothing'), coalesce(e.state, 'gone'))
from pgqueue.flow_nodes n left join everywhere e on e.id = n.id
where n.is_job and n.id not in (select r.id from weave.removed r)
  and (e.state in ('waiting', 'running') and n.outcome is null or e.state = n.outcome or e.state = 'cancelled' and n.outcome = 'skipped') is not true
union all
select 'I6', format('job %s holds a permit of %s and is not running', p.job_id, p.name) from pgqueue.permits p
where p.kind = 'limit' and not exists (select from queued q where q.id = p.job_id and q.worker_id is not null)
union all
select 'I6', format('job %s has the turn of group %s and is gone', p.job_id, p.key) from pgqueue.permits p
where p.kind = 'group' and not exists (select from queued q where q.id = p.job_id)
union all
select 'I7', format('job %s was started before it was due', q.id) from queued q where q.worker_id is not null and (q.started_at < q.run_at or q.run_at > clock_timestamp())
union all
select 'I7', format('job %s ticked before its time', t.id) from ticked t join queued q on q.id = t.id where t.tick::timestamptz > q.created_at
union all
select 'I8', format('group %s has %s owners', q.gates ->> 'group', count(distinct q.token)) from queued q
where q.worker_id is not null and q.gates ? 'group' group by q.queue, q.gates ->> 'group' having count(distinct q.token) > 1
union all
select 'I8', format('job %s runs and has no turn in its group', q.id) from queued q
where q.worker_id is not null and q.gates ? 'group' and not exists (select from pgqueue.permits p where p.job_id = q.id and p.kind = 'group')
union all
select 'I8', format('job %s was before job %s in their group', later.id, earlier.id)
from weave.claimed later join weave.claimed earlier on later.n < earlier.n and later.id > earlier.id and earlier.attempt = 1 and later.attempt = 1
join weave.made m on m.id = earlier.id and m.early join weave.made o on o.id = later.id and o.early
join pgqueue.job_args a on a.id = later.id join pgqueue.job_args b on b.id = earlier.id and b.gates ->> 'group' = a.gates ->> 'group'
where earlier.id not in (select r.id from weave.reopened r) and later.id not in (select r.id from weave.reopened r)
union all
select 'I9', format('limit %s of %s: %s run', s.name, r.concurrency, sum(s.weight)) from shares s join pgqueue.limit_rules r on r.name = s.name
group by s.name, s.key, r.concurrency having sum(s.weight) > r.concurrency
union all
select 'I9', format('job %s runs without a permit of %s', s.id, s.name) from shares s join pgqueue.limit_rules r on r.name = s.name and r.concurrency is not null
where not exists (select from pgqueue.permits p where p.job_id = s.id and p.kind = 'limit' and p.name = s.name)
union all
select 'I9', format('limit %s holds %s, its permits are %s', l.name, l.held, coalesce(sum(p.weight), 0))
from pgqueue.lanes l left join pgqueue.permits p on p.kind = 'limit' and p.name = l.name and p.key = l.key
where l.kind = 'limit' group by l.name, l.key, l.held having l.held <> coalesce(sum(p.weight), 0)
union all
select 'I9', format('rate %s: %s starts at once, the burst is %s', r.name, count(*), coalesce(r.burst, 1))
from weave.claimed c join pgqueue.job_args a on a.id = c.id join pgqueue.limit_rules r on a.gates -> 'limits' ? r.name
where r.rate is not null group by r.name, r.burst having count(*) > coalesce(r.burst, 1)
union all
select 'I10', format('tick %s of %s was enqueued %s times', t.tick, t.schedule, count(*)) from ticked t group by t.schedule, t.tick having count(*) > 1
union all
select 'I10', format('job %s ticked and no tick is noted', t.id) from ticked t
where exists (select from pgqueue.job_schedules s where s.name = t.schedule)
  and not exists (select from pgqueue.schedule_ticks n where n.schedule = t.schedule and n.job_id = t.id)
union all
select 'I11', format('job %s has lost %s workers alone', e.id, e.losses) from everywhere e, pgqueue.settings s where e.losses > s.max_losses
union all
select 'I11', format('job %s has lost a worker and does not run alone', e.id) from everywhere e
where e.state in ('waiting', 'running') and not e.suspect and exists (select from tried t where t.id = e.id and t.outcome = 'lost')
  and e.id not in (select r.id from weave.reopened r)
union all
select 'I12', format('job %s is run by a worker that does not know task %s', q.id, q.task) from queued q join pgqueue.worker_processes w on w.id = q.worker_id
where q.task <> all (w.tasks)
union all
select 'I13', format('node %s waits for node %s, which is gone', l.child_id, l.parent_id) from pgqueue.flow_links l join pgqueue.flow_nodes c on c.id = l.child_id
where c.outcome is null and not exists (select from pgqueue.flow_nodes p where p.id = l.parent_id)
union all
select 'I13', format('job %s has no arguments', q.id) from queued q where q.argless
union all
select 'I15', format('attempt %s ended job %s as %s, and it is unfinished', s.attempt, s.id, s.outcome) from weave.said s join queued q on q.id = s.id
where s.accepted and s.outcome in ('succeeded', 'dead', 'cancelled') and s.id not in (select r.id from weave.reopened r)
union all
select 'I16', format('job %s: %s failures are counted, %s attempts failed', e.id, e.failures, count(t.id)) from everywhere e
left join tried t on t.id = e.id and t.outcome = 'failed'
where e.state in ('waiting', 'running') and e.id not in (select r.id from weave.reopened r)
group by e.id, e.failures having e.failures <> count(t.id)
