-- Who is next in a line (groups, limits).
prepare pgq_doctor (text, text, text, integer) as
select w.job_id from pgqueue.lane_waits w where w.kind = $1 and w.name = $2 and w.key = $3 order by w.priority, w.job_id limit $4
