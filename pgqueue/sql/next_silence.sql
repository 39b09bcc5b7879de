-- Seconds until a rescue may find something: until the first of the leases ends, if its worker does not beat; now, while one was declared lost a
-- moment ago whose jobs could not be handed on yet. Null: nobody works.
select extract(epoch from min(case when lost_at is null then heartbeat_at + lease else lost_at end) - clock_timestamp())::double precision
from pgqueue.worker_processes
where lost_at is null or not rescued and lost_at > clock_timestamp() - interval '2 seconds'
