-- How many workers are alive.
select count(*) as alive from pgqueue.workers w where w.alive
