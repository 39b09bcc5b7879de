-- After another server answers, or the same one restarted, a worker compares what it knows with what is there: commits that were
-- acknowledged may be gone (asynchronous replication, synchronous_commit = off). It gives the jobs that it holds (ids, tokens, when they
-- were created if it knows) and those whose end was acknowledged lately (`ended_*`, with the database's time of that end). Returns a row per job:
--   gone       no such job any more, or the id belongs to one that was created later: its enqueue was lost
--   undone     held, but not by this token: the claim was lost, and the job runs again; its handler has to stop. (Where the worker only
--              knows that its outcome was sent and not acknowledged, another token is no finding: it may have come through.)
--   again      its end was lost and its claim too: unfinished, it runs again
--   released   leased to this worker, which knows nothing of it (the end was lost and the claim was not): handed back, runs again.
--              Without this it would be running for ever, as the worker beats for it (I5).
-- `spared` are tokens of claims that may still be on their way to the worker. With a timeline, what was found is kept for `pgq doctor`.
-- An attempt that is compared wrongly loses its lease and its token, and so can change nothing (I4): the job runs twice at worst.
-- Death right after: the transaction has committed, or the worker is rescued as a whole. Scans the unfinished jobs, once per restart
-- or failover of the server. Locks: the worker's row for update, then the jobs to hand back in id order, passing by locked ones.
create function pgqueue.reconcile(worker_id bigint, ids bigint[], tokens bigint[], created timestamptz[], ended_ids bigint[], ended_at timestamptz[],
  spared bigint[] default '{}', system_identifier bigint default null, timeline integer default null)
returns table (id bigint, finding text)
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  _outcomes jsonb;
  _ids bigint[];
  _findings text[];
begin
  perform from pgqueue.worker_processes w where w.id = reconcile.worker_id for update;
  select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'released'))
  into _outcomes
  from (select q.id, q.token from pgqueue.queued_jobs q
        where q.worker_id = reconcile.worker_id and q.token <> all (spared)
          and not exists (select from unnest(ids, tokens) as h (id, token) where h.id = q.id and h.token = q.token)
        order by q.id for update skip locked) j;
  if _outcomes is not null then
    perform pgqueue.ensure_day(clock_timestamp());
    perform pgqueue.settle(_outcomes, clock_timestamp());
    perform pgqueue.wake(q.queue) from (select distinct unnest(w.queues) as queue from pgqueue.worker_processes w where w.id = reconcile.worker_id) q;
  end if;
  select array_agg(f.id order by f.id), array_agg(f.finding order by f.id) into _ids, _findings
  from (
    select (o ->> 'id')::bigint as id, 'released' as finding from jsonb_array_elements(_outcomes) o
    union all
    select h.id, case when j.id is not null then 'undone' else 'gone' end
    from unnest(ids, tokens, created) as h (id, token, created)
    left join pgqueue.queued_jobs j on j.id = h.id and (h.created is null or j.created_at = h.created)
    where case when j.id is not null then h.created is not null and j.token is distinct from h.token
               else not exists (select from pgqueue.finished_jobs f where f.id = h.id and (h.created is null or f.created_at = h.created and f.finished_at >= h.created))
                and not exists (select from pgqueue.dead_jobs d where d.id = h.id and (h.created is null or d.created_at = h.created)) end
    union all
    select e.id, case when j.id is not null then 'again' else 'gone' end
    from unnest(ended_ids, ended_at) as e (id, at)
    left join pgqueue.queued_jobs j on j.id = e.id and j.created_at <= e.at
    where e.id <> all (coalesce(array(select (o ->> 'id')::bigint from jsonb_array_elements(_outcomes) o), '{}'))
      and not exists (select from pgqueue.finished_jobs f where f.id = e.id and f.created_at <= e.at and f.finished_at >= e.at - interval '1 minute')
      and not exists (select from pgqueue.dead_jobs d where d.id = e.id and d.created_at <= e.at)
  ) f;
  if timeline is not null and _ids is not null then
    insert into pgqueue.failover_jobs (system_identifier, timeline, job_id, worker_id, finding)
    select reconcile.system_identifier, reconcile.timeline, f.id, reconcile.worker_id, f.finding from unnest(_ids, _findings) as f (id, finding)
    on conflict do nothing;
  end if;
  return query select f.id, f.finding from unnest(_ids, _findings) as f (id, finding);
end $$;
