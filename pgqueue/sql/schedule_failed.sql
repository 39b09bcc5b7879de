-- Notes why a schedule cannot tick, and when to look again.
select pgqueue.schedule_failed(%(name)s::text, %(since)s::timestamptz, %(expected_next_at)s::timestamptz, %(error)s::text,
  make_interval(secs => %(retry_seconds)s))
