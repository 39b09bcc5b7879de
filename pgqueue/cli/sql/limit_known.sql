-- Whether there is a limit of this name.
select exists (select from pgqueue.limit_rules r where r.name = %(name)s::text) as known
