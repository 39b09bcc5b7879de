-- What was seen of a worker when it stood still or ended, the newest first.
select i.at, i.kind, i.jobs, i.detail, i.stack from pgqueue.worker_incidents i where i.worker_id = %(id)s::bigint order by i.id desc limit 20
