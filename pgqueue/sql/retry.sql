-- Makes a dead, cancelled or scheduled job ready now.
select pgqueue.retry(%(id)s::bigint)
