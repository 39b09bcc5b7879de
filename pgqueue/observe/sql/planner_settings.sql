-- Settings of the planner under which no statement goes the way that it should, where they are not as the server is delivered.
select s.name, s.setting, s.source, current_user::text as role, current_database()::text as database
from pg_settings s
where s.name in ('enable_indexscan', 'enable_bitmapscan', 'enable_indexonlyscan', 'enable_nestloop', 'enable_sort', 'enable_partition_pruning') and s.setting = 'off'
order by s.name
