-- Notes what was seen of a worker process: by itself, by its supervisor (through another of its processes), or by who rescues. Kinds:
--   loop_blocked    its event loop stands still         thread_overdue  a thread ignores that its job's time is over
--   heartbeat_dead  the thread that beats has ended      gil_held        code holds the interpreter's lock: no Python runs
--   frozen          it was stopped from outside         silent          it beats no more, and nobody knows why
--   ended           the process is gone: killed by its supervisor, or crashed
-- All but the last two mark the worker as stuck since `ago` before now, or since it was already, until `recovered`. Only what may be said of a process that is certainly
-- gone (whoever says so has waited for it): `ended` also declares it lost at once, so that the next rescue hands its jobs on without waiting for
-- the lease. False: this worker has 20 notes already, and nothing was kept of this one. Jobs beyond 100 and text beyond 16,000 characters are cut.
-- Death right after: it has committed. A note has no bearing on leases, tokens or jobs, and may be lost or repeated. Locks: the worker's row.
create function pgqueue.note_incident(worker_id bigint, host text, pid integer, kind text, jobs bigint[] default '{}', detail text default '',
                                      stack text default null, ago interval default '0')
returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  update pgqueue.worker_processes w
  set stuck = case when note_incident.kind <> 'ended' then note_incident.kind end,
      stuck_since = case when note_incident.kind <> 'ended' then least(w.stuck_since, clock_timestamp() - ago) end,
      lost_at = case when note_incident.kind = 'ended' then coalesce(w.lost_at, clock_timestamp()) else w.lost_at end
  where w.id = note_incident.worker_id;
  if (select count(*) from pgqueue.incident_log i where i.worker_id = note_incident.worker_id) >= 20 then
    return false;
  end if;
  insert into pgqueue.incident_log (worker_id, host, pid, kind, jobs, detail, stack)
  values (note_incident.worker_id, note_incident.host, note_incident.pid, note_incident.kind, coalesce(note_incident.jobs[1:100], '{}'),
          left(note_incident.detail, 1000), left(note_incident.stack, 16000));
  return true;
end $$;
