-- Carries out cancel requests whose job does not run any more, and drops those of jobs that are finished. Called by the keeper.
-- A job that died while the request was on its way, unseen by the settle, ends as cancelled too: it was asked before it died.
-- Returns how many requests it ended. One bad row does not stop the others: it is told in a warning.
-- Of jobs that others of a flow wait for it ends one a call, whose dependants it locks by (rank, id): those of two would be in no order (I14).
-- Locks: the requests and their waiting or dead jobs in id order, passing by locked ones; orphaned progress, passing by too.
create function pgqueue.sweep_cancel_requests() returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _request record;
  _ended bigint := 0;
  _reached boolean := false;
begin
  for _request in select c.job_id from pgqueue.cancel_requests c order by c.job_id for update skip locked loop
    begin
      continue when _reached and pgqueue.is_node(_request.job_id);
      if pgqueue.try_waiting(_request.job_id) then
        _reached := _reached or pgqueue.is_node(_request.job_id);
        perform pgqueue.cancel_waiting(_request.job_id, clock_timestamp());
      else
        perform pgqueue.cancel_dead(_request.job_id, clock_timestamp());
      end if;
      if pgqueue.stored_state(_request.job_id) in ('succeeded', 'cancelled') is not false then
        delete from pgqueue.cancel_requests c where c.job_id = _request.job_id;
        _ended := _ended + 1;
      end if;
    exception when others then
      raise warning 'cancel request of job %: % (%)', _request.job_id, sqlerrm, sqlstate;
    end;
  end loop;
  delete from pgqueue.job_progress p
  where p.job_id = any (array(select o.job_id from pgqueue.job_progress o
                              where not exists (select from pgqueue.queued_jobs j where j.id = o.job_id)
                              order by o.job_id for update skip locked));
  return _ended;
end $$;
