-- Compares what a worker knows with what is there, after the server was restarted or replaced.
select id, finding from pgqueue.reconcile(%(worker_id)s::bigint, %(ids)s::bigint[], %(tokens)s::bigint[], %(created)s::timestamptz[],
  %(ended_ids)s::bigint[], %(ended_at)s::timestamptz[], %(spared)s::bigint[], %(system)s::bigint, %(timeline)s::integer)
