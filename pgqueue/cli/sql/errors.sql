-- The errors of these jobs: of an unfinished one that of its last failed attempt, of the others why they ended. Jobs without one have no row.
select t.id, t.error
from (
  select j.id, (select a.error from pgqueue.job_attempts a where a.job_id = j.id and a.error is not null order by a.attempt desc limit 1) as error
  from pgqueue.queued_jobs j where j.id = any (%(ids)s::bigint[]) and (j.failures > 0 or j.losses > 0 or j.suspect)
  union all
  select f.id, f.error from pgqueue.finished_jobs f where f.id = any (%(ids)s::bigint[])
  union all
  select d.id, d.error from pgqueue.dead_jobs d where d.id = any (%(ids)s::bigint[])
) t
where t.error is not null
