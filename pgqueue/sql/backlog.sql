-- Jobs due plus jobs running.
select pgqueue.backlog(%(queue)s::text)
