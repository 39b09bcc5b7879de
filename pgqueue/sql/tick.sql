-- Enqueues the jobs of a schedule's ticks and moves it on; null when another was first.
select pgqueue.tick(%(name)s::text, %(since)s::timestamptz, %(expected_next_at)s::timestamptz, %(ticks)s::timestamptz[], %(next_at)s::timestamptz)
