-- Everything that the server knows about our schema and that matters, an object a row: its kind, its name and its facts. Left out is what
-- rightly differs between installations: daily partitions, what quotas bring (the trigger enforce_quota, sequences quota_*), storage
-- parameters, comments, owners and grants. Names of our schema are shown without it: the search path is set to it first.
with us as (select n.oid from pg_namespace n where n.nspname = 'pgqueue'),
relations as (
  select c.* from us join pg_class c on c.relnamespace = us.oid
  where not c.relispartition and c.relname !~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}|^quota_(tickets|counted)_[0-9]+$'
)
select 'table' as kind, r.relname::text as name,
       jsonb_build_object('kind', r.relkind, 'persistence', r.relpersistence, 'partitions', pg_get_partkeydef(r.oid), 'rls', r.relrowsecurity) as facts
from relations r where r.relkind in ('r', 'p', 'm', 'f')
union all
select 'view', r.relname, jsonb_build_object('definition', pg_get_viewdef(r.oid), 'options', r.reloptions)
from relations r where r.relkind = 'v'
union all
select 'column', r.relname || '.' || a.attname,
       jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'not null', a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid),
                          'identity', a.attidentity, 'generated', a.attgenerated)
from relations r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'v')
union all
select 'index', x.relname, jsonb_build_object('definition', pg_get_indexdef(i.indexrelid, 0, true), 'valid', i.indisvalid and i.indisready and i.indislive,
                                              'partition', x.relispartition, 'parts', x.relkind = 'I')
from us join pg_class x on x.relnamespace = us.oid and x.relkind in ('i', 'I') join pg_index i on i.indexrelid = x.oid join pg_class t on t.oid = i.indrelid
where t.relkind <> 't' and (not x.relispartition and not t.relispartition and t.relname !~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}'
                            or not i.indisvalid)
union all
select 'constraint', r.relname || '.' || o.conname, jsonb_build_object('definition', pg_get_constraintdef(o.oid), 'valid', o.convalidated)
from relations r join pg_constraint o on o.conrelid = r.oid
where o.contype <> 'n' and o.contype <> 't'
union all
select 'trigger', r.relname || '.' || t.tgname, jsonb_build_object('definition', pg_get_triggerdef(t.oid, true), 'enabled', t.tgenabled)
from relations r join pg_trigger t on t.tgrelid = r.oid
where not t.tgisinternal and t.tgname <> 'enforce_quota'
union all
select 'sequence', r.relname, jsonb_build_object('type', format_type(s.seqtypid, null), 'increment', s.seqincrement, 'minimum', s.seqmin, 'maximum', s.seqmax,
                                                 'cycle', s.seqcycle)
from relations r join pg_sequence s on s.seqrelid = r.oid
union all
select 'function', p.proname || case when p.form = 1 then '' else '(' || pg_get_function_identity_arguments(p.oid) || ')' end,
       jsonb_build_object('arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid), 'language', l.lanname,
                          'volatility', p.provolatile, 'strict', p.proisstrict, 'security definer', p.prosecdef, 'parallel', p.proparallel,
                          'settings', p.proconfig, 'body', case when p.prosqlbody is null then p.prosrc end,
                          'expression', pg_get_function_sqlbody(p.oid))
from (select f.*, row_number() over (partition by f.proname order by f.oid) as form from us join pg_proc f on f.pronamespace = us.oid) p
join pg_language l on l.oid = p.prolang
order by 1, 2
