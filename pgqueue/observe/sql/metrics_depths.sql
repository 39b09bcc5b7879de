-- Jobs of each queue by state, and how long the oldest due one has waited.
select d.queue, d.paused, d.scheduled, d.blocked, d.ready, d.running, d.dead, extract(epoch from d.oldest_due_age)::double precision as oldest_due_seconds, d.estimated
from pgqueue.depths() d
