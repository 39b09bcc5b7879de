-- Enters this worker process; false when the id is taken.
select pgqueue.register_worker(%(worker_id)s::bigint, %(host)s::text, %(pid)s::integer, %(queues)s::text[], %(tasks)s::text[],
  %(concurrency)s::integer, make_interval(secs => %(lease_seconds)s), %(version)s::text)
