-- How many living workers serve each queue.
select q.queue, count(*) as workers
from pgqueue.workers w, unnest(w.queues) as q (queue)
where w.alive
group by q.queue
