-- Which server answers, and how far its log goes. The identifier is the cluster's, the timeline grows by one with each promotion of a
-- standby, the start tells a restart. Where the server does not tell (some managed services refuse these functions) the parts are null.
-- The timeline is read from the name of the current log file: the control file has the new one only after a checkpoint, minutes later.
-- Read in a statement that also writes, `lsn` is before the end of that transaction: once its commit was acknowledged under synchronous
-- replication, a promoted standby has everything up to there. Takes no locks.
create function pgqueue.server_state(out system_identifier bigint, out timeline integer, out started_at timestamptz, out lsn pg_lsn)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  started_at := pg_postmaster_start_time();
  system_identifier := (select c.system_identifier from pg_control_system() c);
  lsn := pg_current_wal_insert_lsn();
  timeline := ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::integer;
exception when insufficient_privilege or feature_not_supported or undefined_function or object_not_in_prerequisite_state then
  lsn := null; timeline := null;
end $$;
