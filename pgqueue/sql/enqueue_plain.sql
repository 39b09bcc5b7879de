-- The common case of enqueue: fewer parameters to send and check.
select pgqueue.enqueue(%(task)s::text, %(args)s::jsonb, %(queue)s::text)
