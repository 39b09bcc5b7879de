-- One flow.
select f.id, f.kind, f.name, f.state, f.total, f.succeeded, f.failed, f.cancelled, f.skipped, f.running, f.waiting, f.created_at, f.finished_at
from pgqueue.flows f
where f.id = %(id)s::bigint
