-- The id below which jobs were enqueued before a time, give or take a second: ids and times of enqueueing ascend together. By halving, with a
-- probe of each table a step; 0 when there is none.
with recursive top (id) as (
  select greatest((select j.id from pgqueue.queued_jobs j order by j.id desc limit 1), (select f.id from pgqueue.finished_jobs f order by f.id desc limit 1),
                  (select d.id from pgqueue.dead_jobs d order by d.id desc limit 1), 0)
), halving (low, high) as (
  select 0::bigint, t.id + 1 from top t
  union all
  select case when p.created_at is null or p.created_at < %(moment)s::timestamptz then m.id else h.low end,
         case when p.created_at is null or p.created_at < %(moment)s::timestamptz then h.high else m.id end
  from halving h
  cross join lateral (select (h.low + h.high) / 2 as id) m
  left join lateral (
    select x.created_at from (
      (select j.id, j.created_at from pgqueue.queued_jobs j where j.id <= m.id order by j.id desc limit 1)
      union all
      (select f.id, f.created_at from pgqueue.finished_jobs f where f.id <= m.id order by f.id desc limit 1)
      union all
      (select d.id, d.created_at from pgqueue.dead_jobs d where d.id <= m.id order by d.id desc limit 1)
    ) x
    order by x.id desc limit 1
  ) p on true
  where h.high - h.low > 1
)
select min(h.high) as id from halving h
