-- For each table cut by days, how many days ahead it has partitions. Their names end in the day.
select p.relname as name, coalesce(max(to_date(right(c.relname, 8), 'YYYYMMDD')) - (clock_timestamp() at time zone 'UTC')::date, 0) as days
from pg_class p
join pg_namespace n on n.oid = p.relnamespace
left join pg_inherits i on i.inhparent = p.oid
left join pg_class c on c.oid = i.inhrelid and c.relname ~ '_[0-9]{8}$'
where n.nspname = 'pgqueue' and p.relkind = 'p'
group by p.relname
