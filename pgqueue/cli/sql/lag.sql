-- How long the oldest due job of each queue has waited, the longest first.
select j.queue, now() - min(j.run_at) as age, exists (select from pgqueue.paused_queues p where p.queue = j.queue) as paused
from pgqueue.queued_jobs j
where j.worker_id is null and j.run_at <= now()
group by j.queue
order by age desc
