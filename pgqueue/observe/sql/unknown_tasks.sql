-- Tasks of due jobs that no living worker of their queue has registered, where the queue has workers.
select u.queue, u.task from pgqueue.unknown_tasks u order by u.queue, u.task
