-- Deletes one batch of dead letters with their arguments and attempts, in id order after `after`, passing by locked ones and those that a job of their
-- flow waits for; the ids.
select d.id, pgqueue.remove(d.id) as state
from (select x.id from pgqueue.dead_jobs x
      where x.id > %(after)s::bigint
        and (%(queue)s::text is null or x.queue = %(queue)s::text)
        and (%(task)s::text is null or x.task = %(task)s::text)
        and (%(before)s::timestamptz is null or x.died_at < %(before)s::timestamptz)
        and not exists (select from pgqueue.flow_links l join pgqueue.flow_nodes n on n.id = l.child_id where l.parent_id = x.id and n.blocked)
      order by x.id
      limit %(limit)s::integer
      for update skip locked) d
