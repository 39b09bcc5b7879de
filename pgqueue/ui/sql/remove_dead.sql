-- Deletes these dead letters with their arguments and attempts, passing by those that are locked and those that a job of their flow waits for; the ids.
select d.id, pgqueue.remove(d.id) as state
from (
  select x.id from pgqueue.dead_jobs x
  where x.id = any (%(ids)s::bigint[])
    and not exists (select from pgqueue.flow_links l join pgqueue.flow_nodes n on n.id = l.child_id where l.parent_id = x.id and n.blocked)
  order by x.id
  for update skip locked
) d
