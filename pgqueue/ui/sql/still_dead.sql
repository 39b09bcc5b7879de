-- Which of these jobs are dead letters still, and who holds their keys.
select d.id, d.queue, d.key, (select k.job_id from pgqueue.job_keys k where k.queue = d.queue and k.key = d.key) as holder
from pgqueue.dead_jobs d
where d.id = any (%(ids)s::bigint[])
order by d.id
