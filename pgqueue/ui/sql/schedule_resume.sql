-- Lets a schedule tick again; whether that was news.
select pgqueue.resume_schedule(%(name)s::text) as changed
