-- Which of these due jobs of a queue, whose rows the caller has locked, may be claimed: those that pass all their gates, in the order
-- shares, group, limits; at most `room` of them, so that no permit is granted to a job that is not claimed. The others are parked or
-- dated later, and no claim walks over them until something has changed.
create function pgqueue.gate(ids bigint[], queue text, tasks text[], at timestamptz, room integer) returns bigint[]
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _ids bigint[] := ids;
  _limited bigint[];
begin
  _ids := pgqueue.gate_shares(_ids, queue);
  _ids := pgqueue.gate_groups(_ids, queue, at, room);
  _limited := array(select j.id from pgqueue.queued_jobs j join pgqueue.job_args a on a.id = j.id and a.day = j.args_day
                    where j.id = any (_ids) and a.gates ? 'limits');
  if _limited <> '{}' then
    _ids := array(select i from unnest(_ids) i where i <> all (_limited));
    if room > cardinality(_ids) then  -- else the others fill the room, and those with limits stay as they are until the next claim
      _ids := _ids || pgqueue.gate_limits(_limited, queue, tasks, at, room - cardinality(_ids));
    end if;
  end if;
  return _ids[1 : room];
end $$;
