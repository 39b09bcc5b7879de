-- Carries out cancel requests whose job is not running any more, and drops those of jobs that are finished. Called by the keeper.
-- Returns how many requests it ended. Locks: the requests and their waiting jobs in id order, passing by locked ones.
create function pgqueue.sweep_cancel_requests() returns bigint
language plpgsql as $$
#variable_conflict use_column
declare
  _request record;
  _ended bigint := 0;
begin
  for _request in select c.job_id from pgqueue.cancel_requests c order by c.job_id for update skip locked loop
    perform from pgqueue.queued_jobs j where j.id = _request.job_id and j.worker_id is null for update skip locked;
    if found then
      perform pgqueue.cancel_waiting(_request.job_id, clock_timestamp());
    end if;
    if not exists (select from pgqueue.queued_jobs j where j.id = _request.job_id) then
      delete from pgqueue.cancel_requests c where c.job_id = _request.job_id;
      _ended := _ended + 1;
    end if;
  end loop;
  delete from pgqueue.job_progress p where not exists (select from pgqueue.queued_jobs j where j.id = p.job_id);
  return _ended;
end $$;
