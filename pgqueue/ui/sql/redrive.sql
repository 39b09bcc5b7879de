-- Makes these dead letters ready again, except those whose key another job holds; how many.
select pgqueue.redrive(ids => %(ids)s::bigint[]) as moved
