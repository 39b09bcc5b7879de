-- Makes or changes a schedule; returns what became of it.
select pgqueue.schedule(%(name)s::text, %(task)s::text, cron => %(cron)s::text, every => %(every)s::interval, args => %(args)s::jsonb,
  timezone => %(timezone)s::text, queue => %(queue)s::text, priority => %(priority)s::integer, missed => %(missed)s::text,
  missed_limit => %(missed_limit)s::integer, overlap => %(overlap)s::text, jitter => %(jitter)s::interval, meta => %(meta)s::jsonb) as verdict
