-- Queues with a quota that the trigger of quotas does not look at, or whose sequences are not there.
select coalesce(array_agg(q.queue order by q.queue), '{}') as unguarded
from pgqueue.queue_quotas q
where not exists (
  select from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'pgqueue' and c.relname = 'queued_jobs' and t.tgname = 'enforce_quota' and t.tgenabled in ('O', 'A')
    and position(quote_literal(q.queue) in pg_get_triggerdef(t.oid)) > 0)
  or (select count(*) from pg_class s join pg_namespace n on n.oid = s.relnamespace
      where n.nspname = 'pgqueue' and s.relkind = 'S' and s.relname in ('quota_tickets_' || q.number, 'quota_counted_' || q.number)) < 2
