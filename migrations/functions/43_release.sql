-- Returns the permits of attempts that ended, and hands turns on, in the transaction that settles them (I6, I9). Limits get theirs back
-- whatever the outcome. A group's turn stays with a job that will be tried again, unless it passes; of several that were handed back
-- the first keeps it and the others stand in line again; when nobody is left it goes to the first in line.
-- The caller has settled the jobs `ids` and so holds the rows of those that are still there.
-- Locks: their lanes in the order of the primary key, waiting: claims that have one only try for others; then rows in line.
create function pgqueue.release(ids bigint[], at timestamptz) returns void
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _lane record;
  _back bigint;
  _first bigint;
  _again bigint[];
begin
  for _lane in
    select l.kind, l.name, l.key, l.held from pgqueue.lanes l
    join (select distinct p.kind, p.name, p.key from pgqueue.permits p where p.job_id = any (ids)) p on l.kind = p.kind and l.name = p.name and l.key = p.key
    order by l.kind, l.name, l.key
    for update of l
  loop
    if _lane.kind = 'limit' then
      with gone as (
        delete from pgqueue.permits p where p.kind = 'limit' and p.name = _lane.name and p.key = _lane.key and p.job_id = any (ids)
        returning p.weight
      )
      select coalesce(sum(g.weight), 0) into _back from gone g;
      update pgqueue.lanes l set held = greatest(l.held - _back, 0)
      where l.kind = 'limit' and l.name = _lane.name and l.key = _lane.key returning l.held into _back;
      perform pgqueue.call_waiting(_lane.name, _lane.key, coalesce(r.concurrency - _back, 1000000), at)  -- no permits any more: all may go
      from pgqueue.limit_rules r where r.name = _lane.name and coalesce(r.concurrency > _back, true);
    elsif _lane.kind = 'group' then
      delete from pgqueue.permits p
      where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key and p.job_id = any (ids)
        and not exists (select from pgqueue.queued_jobs j left join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
                        where j.id = p.job_id and not coalesce((a.gates -> 'pass')::boolean, false));
      select min(p.job_id) into _first from pgqueue.permits p where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key;
      if _first is null then
        perform pgqueue.hand_on(_lane.name, _lane.key, at, true);
      else
        with back as (
          delete from pgqueue.permits p
          where p.kind = 'group' and p.name = _lane.name and p.key = _lane.key and p.job_id = any (ids) and p.job_id > _first
          returning p.job_id
        )
        select array_agg(b.job_id) into _again from back b;
        perform pgqueue.park(_again, 'group', _lane.name, _lane.key) where _again is not null;
      end if;
    end if;
  end loop;
end $$;
