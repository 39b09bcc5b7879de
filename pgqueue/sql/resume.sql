-- Lets claims from a queue go on.
select pgqueue.resume(%(queue)s::text)
