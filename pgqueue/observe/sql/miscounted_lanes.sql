-- Limits whose count of what is out is not what their permits add up to.
select format('limit "%%s" for key "%%s": counts %%s, out are %%s', l.name, l.key, l.held, coalesce(o.weight, 0)) as what
from pgqueue.lanes l tablesample system (%(share)s::real)
left join lateral (select sum(p.weight) as weight from pgqueue.permits p where p.kind = l.kind and p.name = l.name and p.key = l.key) o on true
where l.kind = 'limit' and l.held <> coalesce(o.weight, 0)
limit 20
