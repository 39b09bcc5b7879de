-- How many dead letters a redrive would move, and how many would stay because another job holds their key.
select count(*) filter (where c.holder is null) as movable, count(*) filter (where c.holder is not null) as held
from (select (select k.job_id from pgqueue.job_keys k where k.queue = d.queue and k.key = d.key) as holder
      from pgqueue.dead_jobs d
      where (%(queue)s::text is null or d.queue = %(queue)s::text) and (%(task)s::text is null or d.task = %(task)s::text)) c
