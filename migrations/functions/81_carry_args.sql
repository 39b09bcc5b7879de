-- Moves the arguments of a day that unfinished or dead jobs still need to today's partition, so that the day can be dropped. Returns
-- how many it carried, and how many are left because their rows were locked: then the day stays for now.
-- Locks: the jobs in id order, passing by locked ones. Argument rows are copied, never changed: who reads the old one reads the same.
create function pgqueue.carry_args(day date) returns table (carried bigint, remaining bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  _today constant date := pgqueue.ensure_day(clock_timestamp());
  _unfinished bigint[];
  _dead bigint[];
begin
  select array_agg(j.id) into _unfinished
  from (select q.id from pgqueue.queued_jobs q where q.args_day = carry_args.day order by q.id for update skip locked) j;
  select array_agg(j.id) into _dead
  from (select d.id from pgqueue.dead_jobs d where d.args_day = carry_args.day order by d.id for update skip locked) j;
  insert into pgqueue.job_args (id, day, args, meta, gates)
  select a.id, _today, a.args, a.meta, a.gates from pgqueue.job_args a
  where a.day = carry_args.day and a.id = any (_unfinished || _dead)
  on conflict do nothing;
  update pgqueue.queued_jobs q set args_day = _today where q.id = any (_unfinished);
  update pgqueue.dead_jobs d set args_day = _today where d.id = any (_dead);
  carried := coalesce(cardinality(_unfinished), 0) + coalesce(cardinality(_dead), 0);
  remaining := (select count(*) from pgqueue.queued_jobs q where q.args_day = carry_args.day)
               + (select count(*) from pgqueue.dead_jobs d where d.args_day = carry_args.day);
  return next;
end $$;
