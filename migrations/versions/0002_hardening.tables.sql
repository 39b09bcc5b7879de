-- Revision 0002: only what the workers of 0.1.0 can live with (new tables, columns with defaults, nothing taken away).
-- Tables of workers are locked in the order in which a step takes them: what it settles, then its worker's row.

-- Dead letters by the time of their death: the fold and the dashboard look for recent ones. Off the path of jobs that succeed.
create index dead_jobs_time on pgqueue.dead_jobs (died_at);

-- Which versions of pgqueue can work on this schema. `oldest_client` is written by migrations alone, when a revision takes away what older
-- versions use; workers read it before they start and when they register (see docs/upgrading.md).
create table pgqueue.compatibility (
  only_row      boolean primary key default true check (only_row),
  oldest_client text    not null
);
insert into pgqueue.compatibility (oldest_client) values ('0.1.0');

-- The worker's version; null: 0.1.0, which did not say.
alter table pgqueue.worker_processes add column version text;
-- What workers noticed when another server answered: a row per timeline that they met after another one. The log between begins_lsn and
-- seen_lsn is lost: a worker had seen it acknowledged, and this timeline begins before it. What was there at kept_at was kept.
create table pgqueue.failovers (
  system_identifier bigint      not null,
  timeline          integer     not null,
  old_system        bigint      not null,
  old_timeline      integer     not null,
  noticed_at        timestamptz not null,
  begins_lsn        pg_lsn,
  seen_lsn          pg_lsn,                -- the furthest that any worker knows of, and when (by the old server's clock)
  seen_at           timestamptz,
  kept_at           timestamptz,
  workers           integer     not null default 0,
  dismissed_at      timestamptz,           -- an operator has seen to it: doctor is silent about it
  primary key (system_identifier, timeline)
);

-- How many unfinished jobs a queue may hold (set_queue). Enqueues draw tickets from a sequence of the row's number, see enforce_quota.
create table pgqueue.queue_quotas (
  queue     text    primary key,
  number    integer not null generated always as identity,
  max_depth bigint  not null check (max_depth between 1 and 1000000000)
);

-- What workers knew of and is gone or undone (function reconcile): gone, undone, again, released.
create table pgqueue.failover_jobs (
  system_identifier bigint  not null,
  timeline          integer not null,
  job_id            bigint  not null,
  worker_id         bigint  not null,
  finding           text    not null,
  primary key (system_identifier, timeline, job_id, worker_id, finding)
);

-- Who changed what through the dashboard (note_action, view audit). Nothing that jobs carry.
create table pgqueue.audit_log (
  id      bigint      primary key generated always as identity,
  at      timestamptz not null,
  actor   text        not null,
  role    text        not null,
  action  text        not null,
  target  text        not null,
  detail  jsonb       not null default '{}',
  db_user text        not null
);
create index audit_log_at on pgqueue.audit_log (at);
-- What handlers logged, for their attempts: first and last lines, masked by the worker. By day, like the attempts.
create table pgqueue.attempt_lines (
  job_id    bigint      not null,
  logged_at timestamptz not null,
  attempt   integer     not null,
  lines     jsonb       not null            -- of {at, level, logger, message, fields, exception} and one {left_out}
) partition by range (logged_at);
create index attempt_lines_job on pgqueue.attempt_lines (job_id, attempt);

-- What attempts came to, a row for each minute, queue and task (fold_statistics, view statistics); kept for 7 days. Buckets by bucket_bounds.
create table pgqueue.statistics_minutes (
  minute       timestamptz      not null,
  queue        text             not null,
  task         text             not null,
  succeeded    bigint           not null,
  failed       bigint           not null,
  dead         bigint           not null,
  cancelled    bigint           not null,
  lost         bigint           not null,
  snoozed      bigint           not null,
  released     bigint           not null,
  wait_seconds double precision not null,
  wait_buckets bigint[]         not null,
  run_seconds  double precision not null,
  run_buckets  bigint[]         not null,
  primary key (minute, queue, task)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- The same since the installation: counters (view statistics_totals). Those of queues that are gone are dropped after 30 days (sample_depths).
create table pgqueue.statistics_sums (
  queue        text             not null,
  task         text             not null,
  succeeded    bigint           not null,
  failed       bigint           not null,
  dead         bigint           not null,
  cancelled    bigint           not null,
  lost         bigint           not null,
  snoozed      bigint           not null,
  released     bigint           not null,
  wait_seconds double precision not null,
  wait_buckets bigint[]         not null,
  run_seconds  double precision not null,
  run_buckets  bigint[]         not null,
  counted_at   timestamptz      not null default now(),  -- when it grew last
  primary key (queue, task)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- How deep each queue was, a sample a minute (view depth_history); kept for 7 days.
create table pgqueue.depth_minutes (
  minute             timestamptz not null,
  queue              text        not null,
  scheduled          bigint      not null,
  blocked            bigint      not null,
  ready              bigint      not null,
  running            bigint      not null,
  dead               bigint      not null,
  oldest_due_seconds double precision,
  estimated          boolean     not null,
  primary key (minute, queue)
);

-- All queues together, a row a minute, for charts of a week (view overall_history): what attempts came to, and how long the oldest due job had
-- waited when depths were noted. Of 1,000 queues the other tables have ten million rows a week.
create table pgqueue.overall_minutes (
  minute      timestamptz primary key,
  succeeded   bigint      not null default 0,
  failed      bigint      not null default 0,  -- failed, dead or lost
  lag_seconds double precision
) with (fillfactor = 60);

-- How far the fold has come, one row: the history up to folded_to is in the statistics; how much time the next window may cover; the last
-- sample of depths; how many ranges of a day's history have summaries in their BRIN indexes.
create table pgqueue.statistics_state (
  only_row        boolean          primary key default true check (only_row),
  folded_to       timestamptz      not null,
  stretch_seconds double precision not null default 10,
  sampled_minute  timestamptz      not null default '-infinity',
  summarized_day  date             not null default '2000-01-01',
  finished_ranges bigint           not null default 0,
  attempts_ranges bigint           not null default 0
) with (fillfactor = 50);
insert into pgqueue.statistics_state (folded_to) values ('-infinity');

-- What was seen of worker processes that stood still or were ended: the view worker_incidents. Code locations only, never contents.
create table pgqueue.incident_log (
  id        bigint      generated always as identity primary key,
  at        timestamptz not null default clock_timestamp(),
  worker_id bigint      not null,
  host      text        not null,
  pid       integer     not null,
  kind      text        not null,
  jobs      bigint[]    not null default '{}',  -- the first hundred that it held
  detail    text        not null default '',    -- a line
  stack     text                                -- functions, files and lines, at most 16,000 characters
);
create index incident_log_worker on pgqueue.incident_log (worker_id, id);
-- What is wrong with a worker right now, and since when; null: nothing that anybody has seen.
alter table pgqueue.worker_processes add column stuck text, add column stuck_since timestamptz;
