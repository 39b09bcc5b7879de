-- Stops claims from a queue.
select pgqueue.pause(%(queue)s::text)
