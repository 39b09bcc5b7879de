-- Tasks of due jobs of a queue that no living worker of it knows, in the order of their names, at most 20.
select u.task from pgqueue.unknown_tasks u where u.queue = %(queue)s::text order by u.task limit 20
