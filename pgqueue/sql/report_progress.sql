-- Stores the latest progress; returns the ids of attempts whose lease is gone.
select id from pgqueue.report_progress(%(reports)s::jsonb) as id
