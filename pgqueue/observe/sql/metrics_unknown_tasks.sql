-- Tasks of due jobs that no living worker of their queue knows, by queue.
select u.queue, count(*) as tasks from pgqueue.unknown_tasks u group by u.queue
