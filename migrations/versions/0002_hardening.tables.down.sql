-- Takes back what 0002_hardening.tables.sql added.


alter table pgqueue.worker_processes drop column version, drop column stuck, drop column stuck_since;
drop table pgqueue.incident_log;
drop table pgqueue.compatibility;
drop index pgqueue.dead_jobs_time;
drop table pgqueue.statistics_minutes, pgqueue.statistics_sums, pgqueue.statistics_state, pgqueue.depth_minutes, pgqueue.overall_minutes;
drop table pgqueue.audit_log;
drop table pgqueue.queue_quotas cascade;  -- its sequences, which it owns
drop table pgqueue.attempt_lines;
drop table pgqueue.failover_jobs, pgqueue.failovers;

-- What the roles may do here ends; they themselves stay, since other databases of this server may use them.
do $$
declare
  _role text;
begin
  for _role in
    select r.rolname from pg_catalog.pg_roles r,
      unnest(array['producer', 'worker', 'viewer', 'admin']) k
    where r.rolname = case when octet_length('pgqueue') <= 54 and 'pgqueue' <> 'pg' then 'pgqueue' else 'pgq_' || md5('pgqueue') end || '_' || k
  loop
    execute format('revoke all on all tables in schema %I from %I', 'pgqueue', _role);
    execute format('revoke all on all sequences in schema %I from %I', 'pgqueue', _role);
    execute format('revoke all on all functions in schema %I from %I', 'pgqueue', _role);
    execute format('revoke all on schema %I from %I', 'pgqueue', _role);
  end loop;
end $$;

