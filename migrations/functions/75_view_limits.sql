-- Every limit, a row for each key that somebody has used it with (key null: nobody has). held: weights of the permits that are out;
-- waiting: jobs in line for a permit or told when to come back.
create view pgqueue.limits as
select r.name, l.key, r.rate, r.per, case when r.rate is not null then coalesce(r.burst, pgqueue.default_burst(r.rate, r.per)) end as burst,
       r.concurrency, coalesce(l.held, 0) as held,
       (select count(*) from pgqueue.lane_waits w where w.kind = 'limit' and w.name = l.name and w.key = l.key) as waiting,
       r.declared is not null as in_code, r.changed_at
from pgqueue.limit_rules r
left join pgqueue.lanes l on l.kind = 'limit' and l.name = r.name;

-- Who holds what: the permits of limits, and turns in groups (name is the group's queue). A job that waits for its retry keeps its turn.
create view pgqueue.permit_holders as
select p.kind, p.name, p.key, p.job_id, p.weight, j.task, j.worker_id, p.granted_at
from pgqueue.permits p
left join pgqueue.queued_jobs j on j.id = p.job_id
where p.kind <> 'fair';
