-- The storage of pgqueue. A job is a row of queued_jobs while it is unfinished, of finished_jobs once it succeeded or was
-- cancelled, of dead_jobs when it will not be tried again by itself. What is wide is appended once (job_args,
-- job_attempts, finished_jobs), what changes is narrow (queued_jobs). Days are cut at midnight UTC.

-- One row: what an operator may change with plain SQL.
create table pgqueue.settings (
  only_row        boolean primary key default true check (only_row),
  max_args_bytes  integer  not null default 1048576 check (max_args_bytes > 0),
  max_losses      smallint not null default 2 check (max_losses > 0),
  retention       interval not null default '14 days' check (retention >= '1 day')
);
insert into pgqueue.settings default values;
comment on column pgqueue.settings.max_losses is
  'workers that a job may lose while it runs alone before it becomes a dead letter; it runs alone from its first loss on';

create sequence pgqueue.job_ids;

-- Unfinished jobs. A parked job (blocked by its parents, or waiting for its turn) has run_at 'infinity': no claim walks over it.
-- A claim changes attempt, worker_id, token, started_at and alone, and none of these is in an index or
-- an index predicate, so that it is a HOT update; the fillfactor leaves room for it (held by a test).
create table pgqueue.queued_jobs (
  id           bigint      not null,
  run_at       timestamptz not null,
  created_at   timestamptz not null,
  args_day     date        not null,
  attempt      integer     not null default 0,
  priority     smallint    not null default 0 check (priority between -100 and 100),
  failures     smallint    not null default 0,
  losses       smallint    not null default 0,
  suspect      boolean     not null default false,   -- was there when a worker died: runs alone from now on
  alone        boolean     not null default false,   -- runs alone at this moment
  gated        boolean     not null default false,   -- has gates (group, limits, fair key): the claim asks `gate`
  linked       boolean     not null default false,   -- is a node of a flow: the settle tells `settle_nodes`
  worker_id    bigint,                               -- null: nobody runs it
  token        bigint,                               -- the lease: stamped by each claim, checked by each later write
  started_at   timestamptz,
  expires_at   timestamptz,
  max_attempts smallint check (max_attempts > 0),
  timeout      interval check (timeout > '0'),
  queue        text        not null,
  task         text        not null,
  key          text,
  primary key (id),
  check ((worker_id is null) = (token is null))
) with (fillfactor = 42, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2);
create index queued_jobs_claim on pgqueue.queued_jobs (queue, priority, run_at, id) where not suspect;
create index queued_jobs_suspect on pgqueue.queued_jobs (queue, priority, run_at, id) where suspect;

-- Arguments and meta, written once by enqueue, found by (day, id), dropped by the day when nothing refers to them.
create table pgqueue.job_args (
  id   bigint not null,
  day  date   not null,
  args jsonb  not null,
  meta jsonb,
  gates jsonb,          -- {"group": key, "pass": true, "limits": {name: {"key": key, "weight": n}}, "fair": key}, what there is of it
  primary key (id, day)
) partition by range (day);

-- Idempotency keys: one unfinished job per (queue, key), or one per period when `until` is set.
create table pgqueue.job_keys (
  job_id bigint not null,
  until  timestamptz,
  queue  text   not null,
  key    text   not null,
  primary key (queue, key)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

create index job_keys_until on pgqueue.job_keys (until) where until is not null;

-- History: jobs that succeeded or were cancelled. worker_id is set when an attempt ended the job.
create table pgqueue.finished_jobs (
  id           bigint      not null,
  finished_at  timestamptz not null,
  run_at       timestamptz not null,
  created_at   timestamptz not null,
  started_at   timestamptz,
  worker_id    bigint,
  args_day     date        not null,
  attempt      integer     not null,
  priority     smallint    not null,
  failures     smallint    not null,
  losses       smallint    not null,
  max_attempts smallint,
  succeeded    boolean     not null,
  suspect      boolean     not null,
  queue        text        not null,
  task         text        not null,
  key          text,
  timeout      interval,
  result       jsonb,
  error        jsonb
) partition by range (finished_at);
create index finished_jobs_id on pgqueue.finished_jobs (id);
create index finished_jobs_key on pgqueue.finished_jobs (queue, key) where key is not null;
create index finished_jobs_time on pgqueue.finished_jobs using brin (finished_at) with (pages_per_range = 32, autosummarize = on);

-- Attempts that did not end their job: failed, snoozed, lost, released. The attempt that ended a job is told by its
-- row of finished_jobs, those of a dead job by dead_jobs.attempts.
create table pgqueue.job_attempts (
  job_id      bigint      not null,
  logged_at   timestamptz not null,
  started_at  timestamptz not null,
  finished_at timestamptz not null,
  worker_id   bigint      not null,
  attempt     integer     not null,
  outcome     text        not null,
  error       jsonb
) partition by range (logged_at);
create index job_attempts_job on pgqueue.job_attempts (job_id, attempt);
create index job_attempts_time on pgqueue.job_attempts using brin (logged_at) with (pages_per_range = 32, autosummarize = on);

-- Dead letters stay until somebody decides. `attempts` holds the evidence: the last 100 attempts with their errors.
create table pgqueue.dead_jobs (
  id           bigint      primary key,
  died_at      timestamptz not null,
  run_at       timestamptz not null,
  created_at   timestamptz not null,
  started_at   timestamptz,
  worker_id    bigint,
  args_day     date        not null,
  attempt      integer     not null,
  priority     smallint    not null,
  failures     smallint    not null,
  losses       smallint    not null,
  max_attempts smallint,
  suspect      boolean     not null,
  queue        text        not null,
  task         text        not null,
  key          text,
  timeout      interval,
  error        jsonb       not null,
  attempts     jsonb       not null
);
create index dead_jobs_queue on pgqueue.dead_jobs (queue, id);

-- One row per worker process: its heartbeat is the lease of all its jobs. The id is random, never a host name or pid.
-- `epoch` grows when the worker reconnects, so that a claim still on its way through the old connection is refused.
create table pgqueue.worker_processes (
  id           bigint      primary key,
  started_at   timestamptz not null,
  heartbeat_at timestamptz not null,
  lost_at      timestamptz,
  lease        interval    not null check (lease > '0'),
  epoch        integer     not null default 0,
  pid          integer     not null,
  concurrency  integer     not null,
  running      integer     not null default 0,
  rescued      boolean     not null default false,
  listener_pid integer,                      -- the listening backend, ended when the worker is lost: a frozen listener
  listener_at  timestamptz,                  -- would fill the notification queue; its start guards against a reused pid
  host         text        not null,
  queues       text[]      not null,
  tasks        text[]      not null
) with (fillfactor = 50);

-- Requests to stop a running job live beside it, so that asking never waits for a row that a handler has locked.
create table pgqueue.cancel_requests (
  job_id       bigint      primary key,
  requested_at timestamptz not null
);

create table pgqueue.job_progress (
  job_id     bigint      primary key,
  token      bigint      not null,
  updated_at timestamptz not null,
  fraction   double precision check (fraction between 0 and 1),
  note       text
) with (fillfactor = 50);

create table pgqueue.paused_queues (
  queue     text        primary key,
  paused_at timestamptz not null
);

-- What holds jobs back. A limit's rule: at most `concurrency` permits out at once, and `rate` grants per `per` with a bucket of
-- `burst`, each for every key by itself. `declared` is what the code said last: code that changes wins over an operator's edit.
create table pgqueue.limit_rules (
  name        text primary key check (octet_length(name) between 1 and 200),
  rate        double precision check (rate > 0 and rate < 'infinity'),
  per         interval not null default '1 s' check (per > '0'),
  burst       integer check (burst > 0),
  concurrency integer check (concurrency > 0),
  declared    jsonb,
  changed_at  timestamptz not null default now(),
  check (rate is not null or concurrency is not null)
);

-- A lane is what jobs take turns on: a message group (name is the queue), a key of a limit, or a queue that shares fairly. Its row is
-- the lock under which permits are granted and returned: claims only try it, settles wait for it, in the order of the primary key.
create table pgqueue.lanes (
  kind text not null check (kind in ('fair', 'group', 'limit')),
  name text not null,
  key  text not null,
  held bigint not null default 0,   -- weights of the permits that are out (limits)
  tat  timestamptz,                 -- rate: when the bucket is full again if nothing is granted (GCRA's theoretical arrival time)
  slot timestamptz,                 -- rate: the time given to the last job that was told to come back
  primary key (kind, name, key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- Permits belong to attempts: a job's turn in its group (kept over its retries unless it passes), its share of a limit while it runs.
create table pgqueue.permits (
  job_id     bigint not null,
  kind       text not null,
  name       text not null,
  key        text not null,
  weight     integer not null default 1,
  granted_at timestamptz not null,
  primary key (job_id, kind, name, key)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index permits_lane on pgqueue.permits (kind, name, key, job_id);

-- Jobs that wait for their turn, in the order in which they get it.
create table pgqueue.lane_waits (
  kind     text not null,
  name     text not null,
  key      text not null,
  priority smallint not null default 0,
  job_id   bigint not null,
  primary key (kind, name, key, priority, job_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index lane_waits_job on pgqueue.lane_waits (job_id);

-- How a queue deals its jobs out, where it differs from strict priority: fair shares between the keys of its jobs, and aging.
create table pgqueue.queue_policies (
  queue text primary key,
  fair  boolean not null default false,
  aging interval check (aging > '0')   -- a job that has waited this long counts as one priority higher, and so on
);
create table pgqueue.fair_weights (
  queue  text not null,
  key    text not null,
  weight integer not null default 1 check (weight between 1 and 1000),
  primary key (queue, key)
);

-- Results of durable steps (ctx.step). They outlive attempts: a job that is retried, also as a dead letter or after a cancel, finds
-- them. Rows of jobs that have succeeded, or that nobody knows any more, are swept.
create table pgqueue.job_steps (
  job_id    bigint      not null,
  stored_at timestamptz not null,
  attempt   integer     not null,
  name      text        not null,
  result    jsonb       not null,
  primary key (job_id, name)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- Schedules: what is to be enqueued again and again, by the clock of a place (cron, timezone) or at even distances (every). Workers work
-- out the times (pgqueue/cron.py); next_at null: nobody has yet, the first tick is the first time after `since`.
-- `declared` is what the code said last: code that changes wins over an operator's edit. A schedule that cannot tick says why in `error`
-- and is looked at again at `retry_at`.
create table pgqueue.job_schedules (
  name         text primary key check (octet_length(name) between 1 and 200),
  task         text not null,
  args         jsonb not null default '{}',
  meta         jsonb,
  queue        text not null default 'default',
  priority     smallint not null default 0 check (priority between -100 and 100),
  limits       jsonb,
  cron         text,
  every        interval check (every >= '1 s'),
  timezone     text not null default 'UTC',
  jitter       interval check (jitter > '0'),
  missed       text not null default 'once' check (missed in ('skip', 'once', 'all')),
  missed_limit integer not null default 100 check (missed_limit between 1 and 10000),
  overlap      text not null default 'allow' check (overlap in ('allow', 'skip')),
  declared     jsonb,
  since        timestamptz not null,   -- when it was made, when its times changed, when it was resumed: ticks after it count
  paused_at    timestamptz,
  last_at      timestamptz,
  next_at      timestamptz,
  last_job_id  bigint,                 -- of the last tick that enqueued one
  run_job_id   bigint,                 -- of the last run by hand
  retry_at     timestamptz,
  error        text,
  check (num_nonnulls(cron, every) = 1)
);
create index job_schedules_due on pgqueue.job_schedules (coalesce(retry_at, next_at, '-infinity')) where paused_at is null;

-- The ticks that were, until retention drops them. The primary key is the promise: one tick, one job, whoever ticks (I10). No job: it was
-- passed over because the last one's job was unfinished.
create table pgqueue.schedule_ticks (
  schedule text        not null references pgqueue.job_schedules on delete cascade,
  tick_at  timestamptz not null,
  job_id   bigint,
  primary key (schedule, tick_at)
);

-- Flows: jobs that wait for others. A node is a job, or a barrier, which is no job and ends by itself when its parents allow; ids of all are
-- drawn from job_ids. Nodes keep outcomes and results as long as their flow lives, whatever retention does to the history (I13).
create table pgqueue.job_flows (
  id           bigint      primary key,
  kind         text        not null check (kind in ('chain', 'group', 'dag', 'batch', 'saga')),
  name         text,
  created_at   timestamptz not null,
  cancelled_at timestamptz              -- when an operator gave it up; a retry of the flow takes that back
);

-- The counts are over the node's links, what is known of them in flow_deltas included: pending parents that have not ended, breached those
-- that ended against their edge (what happens then, on_failure says), missed those that mean that the node is skipped, hits the failures
-- that it asks about. (rank, id) ascends along every link: nodes are locked in this order and no other (I14), so no two transactions
-- can wait for each other, however far the end of a job reaches.
create table pgqueue.flow_nodes (
  id           bigint   primary key,
  rank         bigint   not null,
  flow_id      bigint,                   -- null: a job that was there before and somebody waits for
  place        integer,
  pending      integer  not null default 0,
  breached     integer  not null default 0,
  missed       integer  not null default 0,
  hits         integer  not null default 0,
  is_job       boolean  not null default true,
  gather       boolean  not null default false,  -- many parents: they do not wait for this row, see settle_nodes
  verdict      boolean  not null default false,  -- a barrier that fails when any parent failed
  asks_failure boolean  not null default false,  -- has links with the condition failed: runs only after a failure
  blocked      boolean  not null default false,  -- its parents have not let it go yet
  patient      boolean  not null default false,  -- retried by hand: it waits for its parents to be retried
  ended_at     timestamptz,
  due          timestamptz,
  on_failure   text     not null default 'cancel' check (on_failure in ('cancel', 'dead', 'wait')),
  outcome      text     check (outcome in ('succeeded', 'cancelled', 'dead', 'skipped')),
  role         text     not null default 'member',
  name         text,
  queue        text,
  task         text,
  result       jsonb
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index flow_nodes_flow on pgqueue.flow_nodes (flow_id, place);

create table pgqueue.flow_links (
  parent_id bigint  not null,
  child_id  bigint  not null,
  place     integer not null,
  condition text    not null check (condition in ('succeeded', 'ended', 'failed', 'not_failed', 'if_succeeded')),
  primary key (parent_id, child_id)
);
create index flow_links_child on pgqueue.flow_links (child_id, place, parent_id);

-- What a gathering node is still to be told: its row was somebody else's when these parents ended.
create table pgqueue.flow_deltas (
  id       bigint  generated always as identity primary key,
  child_id bigint  not null,
  pending  integer not null,
  breached integer not null,
  missed   integer not null,
  hits     integer not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index flow_deltas_child on pgqueue.flow_deltas (child_id);
