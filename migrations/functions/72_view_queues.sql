-- Every queue that has jobs, is paused, or is served by a worker: one count per state, how long its oldest due job has waited, and jobs a minute
-- over the last 5 minutes. What is unfinished and dead is from depths(), what is in the history from history_depths(): both bounded, exact
-- while little is there, estimates (marked) above. The rates are from the statistics, which the keeper folds every few seconds.
create view pgqueue.queues as
with rates as (
  select m.queue, sum(m.succeeded * w.weight) as done, sum((m.failed + m.lost + m.dead) * w.weight) as failed
  from pgqueue.statistics_minutes m
  cross join lateral (select least(1, date_part('epoch', m.minute + interval '6 minutes' - now()) / 60)::numeric as weight) w
  where m.minute > now() - interval '6 minutes' group by m.queue
)
select coalesce(d.queue, h.queue) as queue, coalesce(d.paused, false) as paused,
       coalesce(d.scheduled, 0) as scheduled, coalesce(d.blocked, 0) as blocked, coalesce(d.ready, 0) as ready, coalesce(d.running, 0) as running,
       coalesce(h.succeeded, 0) as succeeded, coalesce(h.cancelled, 0) as cancelled, coalesce(d.dead, 0) as dead,
       d.oldest_due_age,
       round(coalesce(r.done, 0) / 5.0, 1) as throughput, round(coalesce(r.failed, 0) / 5.0, 1) as failures,
       coalesce(d.estimated, false) as estimated, coalesce(h.estimated, false) as history_estimated
from pgqueue.depths() d
full join pgqueue.history_depths() h on h.queue = d.queue
left join rates r on r.queue = coalesce(d.queue, h.queue);
