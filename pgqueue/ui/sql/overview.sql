-- Every queue: its depth by state, lag, and what became of attempts in the last hour, a number a minute (oldest first; the minute under way is
-- left out), with the sums of the last five of them;
-- whether a living worker serves it.
with minutes as (
  select g.minute, row_number() over (order by g.minute) as place
  from generate_series(date_trunc('minute', now()) - interval '60 min', date_trunc('minute', now()) - interval '1 min', interval '1 min') g(minute)
), ended as (
  select s.queue, s.minute, sum(s.succeeded) as done, sum(s.failed + s.dead + s.lost) as failed
  from pgqueue.statistics s
  where s.minute >= date_trunc('minute', now()) - interval '60 min' and s.minute < date_trunc('minute', now())
  group by s.queue, s.minute
), series as (
  select q.queue, array_agg(coalesce(e.done, 0)::bigint order by m.place) as done, array_agg(coalesce(e.failed, 0)::bigint order by m.place) as failed,
         coalesce(sum(e.done) filter (where m.place > 55), 0) / 5.0 as done_rate, coalesce(sum(e.failed) filter (where m.place > 55), 0) / 5.0 as failed_rate
  from (select distinct e.queue from ended e) q
  cross join minutes m
  left join ended e on e.queue = q.queue and e.minute = m.minute
  group by q.queue
), serving as (
  select distinct q.queue from pgqueue.workers w, unnest(w.queues) q (queue) where w.alive
)
select d.queue, d.paused, d.scheduled, d.blocked, d.ready, d.running, d.dead, d.oldest_due_age, d.estimated,
       s.done, s.failed, coalesce(s.done_rate, 0) as done_rate, coalesce(s.failed_rate, 0) as failed_rate,
       w.queue is not null as served
from pgqueue.depths() d
left join series s on s.queue = d.queue
left join serving w on w.queue = d.queue
order by d.queue
