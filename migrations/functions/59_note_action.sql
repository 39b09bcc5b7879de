-- Notes in the audit log that somebody has done something, in the transaction that does it: they commit together or not at all. `actor` is
-- who the dashboard let in, `detail` holds counts and ids, never what jobs carry. Returns the line's id. Raises PQ004 for an actor or an
-- action without a name, and for a detail that is no object or larger than 4 kB.
-- With its owner's rights: admins read the log and cannot change it; db_user is who was connected, whatever the caller says.
-- Each call drops up to 20 lines older than 400 days, so that the log is bounded. Locks: those lines, passing by locked ones.
create function pgqueue.note_action(actor text, role text, action text, target text, detail jsonb default '{}') returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  _id bigint;
begin
  if coalesce(note_action.actor, '') = '' or coalesce(note_action.action, '') = '' then
    raise exception using errcode = 'PQ004', message = 'note_action: actor and action must have a name';
  end if;
  if jsonb_typeof(note_action.detail) is distinct from 'object' or octet_length(note_action.detail::text) > 4096 then
    raise exception using errcode = 'PQ004', message = 'note_action: detail must be an object of at most 4096 bytes';
  end if;
  insert into pgqueue.audit_log (at, actor, role, action, target, detail, db_user)
  values (clock_timestamp(), left(note_action.actor, 256), left(note_action.role, 64), left(note_action.action, 64),
          left(note_action.target, 512), note_action.detail, session_user)
  returning id into _id;
  delete from pgqueue.audit_log l where l.id in (
    select o.id from pgqueue.audit_log o where o.at < clock_timestamp() - interval '400 days' order by o.at limit 20 for update skip locked);
  return _id;
end $$;
