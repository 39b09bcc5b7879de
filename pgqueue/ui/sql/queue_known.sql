-- Whether there is a queue of this name: it has jobs, is paused, is served, or was. The history, which has no index of queues, is asked for its statistics only.
select exists (select from pgqueue.paused_queues p where p.queue = %(queue)s::text)
    or exists (select from pgqueue.worker_processes w where w.lost_at is null and %(queue)s::text = any (w.queues))
    or exists (select from pgqueue.queued_jobs j where j.queue = %(queue)s::text and not j.suspect)
    or exists (select from pgqueue.queued_jobs j where j.queue = %(queue)s::text and j.suspect)
    or exists (select from pgqueue.dead_jobs d where d.queue = %(queue)s::text)
    or exists (select from pgqueue.statistics s where s.queue = %(queue)s::text) as known
