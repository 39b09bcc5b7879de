-- What was seen of worker processes that stood still or were ended in the last 7 days, the kinds of note_incident: the jobs that each held, and a
-- stack of where it stood (functions, files and lines; no arguments and no values).
create view pgqueue.worker_incidents as
select i.id, i.at, i.worker_id, i.host, i.pid, i.kind, i.jobs, i.detail, i.stack from pgqueue.incident_log i;
