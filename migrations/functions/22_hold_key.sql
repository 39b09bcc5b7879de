-- Takes the idempotency key (queue, key) for a new job, or says who has it: returns null when `job_id` now holds it, else the
-- id of the job that does. One unfinished job per key is kept by the primary key of job_keys (invariant I2).
-- Two statements in a loop, never one: a single upsert can find neither a free key nor a visible winner, and the
-- winner can settle in between. Each turn reads under a fresh snapshot (READ COMMITTED; stricter levels get 40001).
-- Locks: the key's row. Waits for a transaction that is inserting or deleting this very key.
create function pgqueue.hold_key(job_id bigint, queue text, key text, until timestamptz) returns bigint
language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  _holder bigint;
  _until timestamptz;
begin
  loop
    insert into pgqueue.job_keys (job_id, queue, key, until)
    values (hold_key.job_id, hold_key.queue, hold_key.key, hold_key.until)
    on conflict do nothing;
    if found then
      return null;
    end if;
    select k.job_id, k.until into _holder, _until
    from pgqueue.job_keys k where k.queue = hold_key.queue and k.key = hold_key.key;
    continue when not found;
    if _until is null or _until > clock_timestamp()
       or exists (select from pgqueue.queued_jobs j where j.id = _holder) then
      return _holder;
    end if;
    delete from pgqueue.job_keys k  -- the period is over and its job is finished
    where k.queue = hold_key.queue and k.key = hold_key.key and k.job_id = _holder;
  end loop;
end $$;
