-- What the database itself saw, beside the ledger: every claim, release and end of a lease, in order, written in the
-- transaction that did it; every worker that entered or was declared lost, with what was known of its heartbeat then.
create schema soak;
create table soak.effects (job_id bigint not null, token bigint not null, kind text not null, at timestamptz not null default clock_timestamp());
create table soak.leases (seq bigserial, job_id bigint not null, at timestamptz not null, was bigint, now bigint, worker_id bigint, attempt integer not null, ended boolean not null);
create table soak.workers (id bigint not null, pid integer not null, at timestamptz not null, lost boolean not null, silent interval);

create function soak.note_change() returns trigger language plpgsql
set enable_nestloop = off set enable_hashjoin = on set enable_seqscan = on as $$
declare
  _at constant timestamptz := clock_timestamp();
begin
  insert into soak.leases (job_id, at, was, now, worker_id, attempt, ended)
  select n.id, _at, o.token, n.token, coalesce(n.worker_id, o.worker_id), n.attempt, false
  from before o join after n on n.id = o.id where o.token is distinct from n.token;
  return null;
end $$;

create function soak.note_end() returns trigger language plpgsql set enable_seqscan = on as $$
declare
  _at constant timestamptz := clock_timestamp();
begin
  insert into soak.leases (job_id, at, was, now, worker_id, attempt, ended)
  select o.id, _at, o.token, null, o.worker_id, o.attempt, true from before o;
  return null;
end $$;

create trigger soak_change after update on pgqueue.queued_jobs referencing old table as before new table as after
for each statement execute function soak.note_change();
create trigger soak_end after delete on pgqueue.queued_jobs referencing old table as before
for each statement execute function soak.note_end();

create function soak.note_worker() returns trigger language plpgsql as $$
begin
  insert into soak.workers values (new.id, new.pid, clock_timestamp(), new.lost_at is not null, clock_timestamp() - new.heartbeat_at);
  return null;
end $$;

create trigger soak_worker after insert on pgqueue.worker_processes for each row execute function soak.note_worker();
create trigger soak_lost after update on pgqueue.worker_processes for each row
when (old.lost_at is null and new.lost_at is not null) execute function soak.note_worker();
