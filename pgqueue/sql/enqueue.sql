-- Adds one job in the caller's transaction; returns its id.
select pgqueue.enqueue(
  %(task)s::text, %(args)s::jsonb, queue => %(queue)s::text, priority => %(priority)s::integer, run_at => %(run_at)s::timestamptz,
  key => %(key)s::text, max_attempts => %(max_attempts)s::integer, timeout => %(timeout)s::interval,
  expires_at => %(expires_at)s::timestamptz, meta => %(meta)s::jsonb, key_policy => %(key_policy)s::text,
  key_period => %(key_period)s::interval, delay => %(delay)s::interval, group_key => %(group_key)s::text,
  group_retry => %(group_retry)s::text, limits => %(limits)s::jsonb, fair_key => %(fair_key)s::text)
