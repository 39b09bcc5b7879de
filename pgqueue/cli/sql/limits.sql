-- Every limit, a row for each key that it was used with.
select l.name, l.key, l.rate, l.per, l.burst, l.concurrency, l.held, l.waiting, l.in_code, l.changed_at
from pgqueue.limits l
where %(name)s::text is null or l.name = %(name)s::text
order by l.name, l.key
limit %(limit)s::integer
