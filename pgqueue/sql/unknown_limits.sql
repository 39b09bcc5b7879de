-- Which of these limits nobody has set: their jobs are held.
select n from unnest(%(names)s::text[]) n where not exists (select from pgqueue.limit_rules r where r.name = n) order by n
