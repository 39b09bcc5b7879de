-- The names of all limits.
select r.name from pgqueue.limit_rules r order by r.name
