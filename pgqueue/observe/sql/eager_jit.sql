-- The cost from which on statements are compiled before they are run, where that is so low that short ones are.
select s.name, s.setting, s.source, current_user::text as role, current_database()::text as database
from pg_settings s
where s.name = 'jit_above_cost' and s.setting::double precision between 0 and %(cost)s and current_setting('jit')::boolean
