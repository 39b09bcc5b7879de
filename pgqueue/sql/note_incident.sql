-- Notes what was seen of a worker process; false: it has enough notes.
select pgqueue.note_incident(%(worker_id)s::bigint, %(host)s::text, %(pid)s::integer, %(kind)s::text, %(jobs)s::bigint[], %(detail)s::text,
  %(stack)s::text, make_interval(secs => %(ago_seconds)s))
