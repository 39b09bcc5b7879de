-- The rights of a kind of role, a row each: the statement that gives it, and whether the role has it. That is the one list of them; what it
-- says of each function, view and table is held against tests/roles/matrix.py. Rights that somebody granted beyond these are not in it.
--   producer  calls enqueue, enqueue_many and enqueue_flow, which run with their owner's rights; no table, no view
--   worker    what `pgq work` and handlers call, with its own rights on the tables; settings and policies it only reads
--   viewer    the views, which show contents only to those who may read job_args
--   admin     everything but owning it, and changing the audit log
create function pgqueue.role_rights(kind text) returns table (statement text, granted boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with us as (
    select n.oid, n.nspname, pgqueue.role_name(kind) as role,
           (select r.oid from pg_roles r where r.rolname = pgqueue.role_name(kind)) as role_oid
    from pg_namespace n where n.nspname = pgqueue.schema_name()
  ), relations as (
    select c.oid, format('%I.%I', us.nspname, c.relname) as name, c.relkind,
           case when c.relkind = 'S' then array['usage', 'SELECT']
                when c.relkind = 'v' or c.relname in ('alembic_version', 'audit_log') then array['SELECT']
                when kind = 'worker' and c.relname in ('settings', 'compatibility', 'queue_policies', 'queue_quotas', 'fair_weights', 'paused_queues') then array['SELECT']
                else array['SELECT', 'insert', 'update', 'delete'] end as rights
    from us join pg_class c on c.relnamespace = us.oid
    where c.relkind in ('r', 'p', 'v', 'S') and c.relname !~ '^(attempt_lines|finished_jobs|job_attempts|job_args)_[0-9]{8}$|^quota_(tickets|counted)_[0-9]+$'
      and (kind = 'admin' or kind = 'worker' and c.relname <> 'audit_log' or kind = 'viewer' and (c.relkind = 'v' or c.relname = 'alembic_version'))
  ), functions as (
    select p.oid, format('%I.%I(%s)', us.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name
    from us join pg_proc p on p.pronamespace = us.oid
    where p.prokind = 'f' and p.proname not in ('grant_roles', 'role_rights', 'enforce_quota') and case kind
      when 'producer' then p.proname in ('enqueue', 'enqueue_many', 'enqueue_flow')
      when 'viewer' then p.proname in ('backlog', 'default_burst', 'bucket_bounds', 'depths', 'history_depths')  -- autoscalers and views call them
      when 'worker' then p.proname not in ('note_action', 'pause', 'resume', 'redrive', 'remove', 'set_limit', 'drop_limit', 'set_queue', 'set_quota', 'set_share',
        'schedule', 'unschedule', 'pause_schedule', 'resume_schedule', 'run_schedule')
      else kind = 'admin' end
  )
  select format('grant usage on schema %I to %I', us.nspname, us.role), coalesce(has_schema_privilege(us.role_oid, us.oid, 'usage'), false)
  from us where kind in ('producer', 'worker', 'viewer', 'admin')
  union all
  select format('grant %s on %s%s to %I', array_to_string(r.rights, ', '), case when r.relkind = 'S' then 'sequence ' else '' end, r.name, us.role),
         coalesce((select bool_and(case when r.relkind = 'S' then has_sequence_privilege(us.role_oid, r.oid, p) else has_table_privilege(us.role_oid, r.oid, p) end)
                   from unnest(r.rights) p), false)
  from us, relations r
  union all
  select format('grant execute on function %s to %I', f.name, us.role), coalesce(has_function_privilege(us.role_oid, f.oid, 'execute'), false)
  from us, functions f
$$;

-- Makes the roles of this installation, as far as the caller may, and gives them the rights they lack. Returns each with what came of it:
-- created, present (it was there: roles belong to the whole server, several databases share them), or missing (the caller may not make it).
-- Run by each migration, and by the schema's owner when a role was made later. Locks: rows of the catalogue. It only adds.
create function pgqueue.grant_roles() returns table (role text, state text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  _kind text;
  _statement text;
begin
  foreach _kind in array array['producer', 'worker', 'viewer', 'admin'] loop
    role := pgqueue.role_name(_kind);
    state := 'present';
    if not exists (select from pg_roles r where r.rolname = role) then
      begin
        execute format('create role %I nologin', role);
        state := 'created';
      exception
        when insufficient_privilege then state := 'missing';
        when duplicate_object or unique_violation then null;  -- another database's migration was quicker
      end;
    end if;
    return next;
    continue when state = 'missing';
    for _statement in select r.statement from pgqueue.role_rights(_kind) r where not r.granted loop
      execute _statement;
    end loop;
  end loop;
end $$;
