-- The claim's walk along its index (function claim).
prepare pgq_doctor (text, smallint, timestamptz, bigint, text[], integer) as
select q.ctid, q.id, q.gated from pgqueue.queued_jobs q
where q.queue = $1 and q.priority = $2 and not q.suspect and q.worker_id is null and (q.run_at, q.id) >= ($3, $4) and q.run_at <= clock_timestamp()
  and q.task = any ($5)
order by q.run_at, q.id
limit $6
