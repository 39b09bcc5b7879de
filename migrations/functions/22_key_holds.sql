-- Whether a key's row still holds it: its job is unfinished, or the period that was asked for is not over.
create function pgqueue.key_holds(job_id bigint, until timestamptz) returns boolean
language sql stable
return until is null or until > clock_timestamp() or exists (select from pgqueue.queued_jobs j where j.id = job_id);
