-- What a failover did to the jobs that workers knew of.
select finding, count(*) as jobs, (array_agg(job_id order by job_id))[1:%(shown)s] as ids
from (select distinct j.finding, j.job_id from pgqueue.failover_jobs j
      where j.system_identifier = %(system)s and j.timeline = %(timeline)s) j
group by finding order by finding
