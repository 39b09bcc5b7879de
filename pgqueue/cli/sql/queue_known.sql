-- Whether the view of queues has this one, without counting its jobs: the history, the only slow look, comes last.
select case
  when exists (select from pgqueue.paused_queues p where p.queue = %(queue)s::text) then true
  when exists (select from pgqueue.worker_processes w where w.lost_at is null and %(queue)s::text = any (w.queues)) then true
  when exists (select from pgqueue.queued_jobs j where j.queue = %(queue)s::text and not j.suspect) then true
  when exists (select from pgqueue.queued_jobs j where j.queue = %(queue)s::text and j.suspect) then true
  when exists (select from pgqueue.dead_jobs d where d.queue = %(queue)s::text) then true
  else exists (select from pgqueue.finished_jobs f where f.queue = %(queue)s::text)
end as known
