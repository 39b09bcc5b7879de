-- Makes or changes a limit; returns what became of it.
select pgqueue.set_limit(%(name)s::text, rate => %(rate)s::double precision, per => %(per)s::interval, burst => %(burst)s::integer,
  concurrency => %(concurrency)s::integer) as verdict
