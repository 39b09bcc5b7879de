-- Takes back what 0002_hardening.tables.sql added.

alter table pgqueue.worker_processes drop column version;
drop table pgqueue.compatibility;
drop table pgqueue.failover_jobs, pgqueue.failovers;
