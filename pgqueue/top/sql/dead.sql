-- The newest dead letters, at most `most`: the type of what they died of, nothing of their contents.
select d.id, d.task, d.queue, d.attempt, d.error ->> 'type' as error, extract(epoch from clock_timestamp() - d.died_at)::double precision as seconds
from pgqueue.dead_jobs d
order by d.id desc
limit %(most)s::integer
