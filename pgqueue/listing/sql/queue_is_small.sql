-- Whether a queue has so few unfinished jobs that all of them can be looked at. Counted along the two indexes of claims, up to `most`.
select (select count(*) from (select from pgqueue.queued_jobs j where j.queue = %(queue)s::text and not j.suspect limit %(most)s::integer) x)
     + (select count(*) from (select from pgqueue.queued_jobs j where j.queue = %(queue)s::text and j.suspect limit %(most)s::integer) x) < %(most)s::integer as few
