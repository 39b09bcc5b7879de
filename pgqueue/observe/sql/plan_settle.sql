-- The jobs that a settle ends (functions settle and settle_succeeded).
prepare pgq_doctor (bigint[], bigint[]) as
select j.id from pgqueue.queued_jobs j where j.id = any ($1) and j.token = any ($2) order by j.id
