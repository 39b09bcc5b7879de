-- Forgets keys whose period is over and whose job is finished; those of nobody's interest would stay for ever.
delete from pgqueue.job_keys d
using (select k.queue, k.key from pgqueue.job_keys k
       where k.until < clock_timestamp() and not exists (select from pgqueue.queued_jobs j where j.id = k.job_id)
       order by k.queue collate "C", k.key collate "C" limit 10000 for update skip locked) gone
where d.queue = gone.queue and d.key = gone.key
returning d.job_id
