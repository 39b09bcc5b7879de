-- Who holds a key (function hold_key).
prepare pgq_doctor (text, text) as
select k.job_id, k.until from pgqueue.job_keys k where k.queue = $1 and k.key = $2
