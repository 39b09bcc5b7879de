-- What became of attempts of a queue in the last hour, by task.
select s.task, sum(s.succeeded) as succeeded, sum(s.failed) as failed, sum(s.dead) as dead, sum(s.lost) as lost, sum(s.cancelled) as cancelled,
       sum(s.wait_seconds) / nullif(sum(s.succeeded) + sum(s.failed) + sum(s.dead), 0) as wait_seconds,
       sum(s.run_seconds) / nullif(sum(s.succeeded) + sum(s.failed) + sum(s.dead), 0) as run_seconds
from pgqueue.statistics s
where s.queue = %(queue)s::text and s.minute > now() - interval '1 hour'
group by s.task
order by sum(s.succeeded) + sum(s.failed) + sum(s.dead) desc, s.task
limit 100
