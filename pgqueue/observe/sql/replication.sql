-- Standbys, and the setting that makes commits wait for them.
select (select count(*) from pg_stat_replication) as standbys, current_setting('synchronous_standby_names') as synchronous
