-- A job's arguments, for its claim.
prepare pgq_doctor (bigint, date) as
select a.args::text from pgqueue.job_args a where a.id = $1 and a.day = $2
