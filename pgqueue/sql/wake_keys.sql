-- The advisory lock and the channel of each queue; null is the operators' channel.
select queue, pgqueue.wake_key(queue), pgqueue.wake_channel(queue) from unnest(%(queues)s::text[]) as queue
