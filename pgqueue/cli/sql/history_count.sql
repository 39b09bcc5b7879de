-- Succeeded and cancelled jobs of the history, as long as there are at most `most` of them: above that, see history_estimate.
select count(*) filter (where f.succeeded) as succeeded, count(*) filter (where not f.succeeded) as cancelled
from (select x.succeeded from pgqueue.finished_jobs x limit %(most)s::integer + 1) f
