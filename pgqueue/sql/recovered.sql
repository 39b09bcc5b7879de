-- This worker goes on: it is not marked as stuck any more.
update pgqueue.worker_processes set stuck = null, stuck_since = null where id = %(worker_id)s and stuck is not null returning id
