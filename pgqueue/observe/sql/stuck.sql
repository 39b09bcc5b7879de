-- Workers that stand still now: who, what is wrong, since when.
select w.id, w.host, w.pid, w.stuck, extract(epoch from clock_timestamp() - w.stuck_since)::double precision as seconds
from pgqueue.workers w
where w.stuck is not null
order by w.stuck_since, w.id
limit 6
