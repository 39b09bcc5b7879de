-- A finished job by its id (pgq jobs show, results).
prepare pgq_doctor (bigint) as
select f.id from pgqueue.finished_jobs f where f.id = $1
