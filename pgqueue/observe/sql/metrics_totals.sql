-- What attempts came to since the installation, and how long they waited and ran: sums and counts by bucket_bounds().
select t.queue, t.task, t.succeeded, t.failed, t.dead, t.cancelled, t.lost, t.snoozed, t.released, t.wait_seconds, t.wait_buckets, t.run_seconds, t.run_buckets
from pgqueue.statistics_totals t
