-- Revision 0002: only what the workers of 0.1.0 can live with (new tables, columns with defaults, nothing taken away).

-- Which versions of pgqueue can work on this schema. `oldest_client` is written by migrations alone, when a revision takes away what older
-- versions use; workers read it before they start and when they register (see docs/upgrading.md).
create table pgqueue.compatibility (
  only_row      boolean primary key default true check (only_row),
  oldest_client text    not null
);
insert into pgqueue.compatibility (oldest_client) values ('0.1.0');

-- The worker's version; null: 0.1.0, which did not say.
alter table pgqueue.worker_processes add column version text;
