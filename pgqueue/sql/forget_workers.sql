-- Forgets workers that were lost a day ago and have no jobs any more.
delete from pgqueue.worker_processes where rescued and lost_at < clock_timestamp() - interval '1 day' returning id
