-- The claim of a job that has to run alone (function claim_alone).
prepare pgq_doctor (text, timestamptz, text[]) as
select q.id, q.gated from pgqueue.queued_jobs q
where q.queue = $1 and q.suspect and q.worker_id is null and q.run_at <= $2 and q.task = any ($3)
order by q.priority, q.run_at, q.id
limit 1
