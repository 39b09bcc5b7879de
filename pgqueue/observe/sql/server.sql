-- What server this is.
select current_setting('server_version') as version, current_setting('server_version_num')::integer / 10000 as major,
  pg_postmaster_start_time() at time zone 'UTC' as started_at, pg_is_in_recovery() as standby,
  current_setting('transaction_read_only')::boolean as read_only, (select s.timeline from pgqueue.server_state() s) as timeline
