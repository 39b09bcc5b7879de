# ruff: noqa: E501 - SQL is told on one line
"""Engines with one thing broken, each as others have shipped it, and the casts that have to catch it.

A mutant is made from the living text of the engine's functions: each of its changes must fit exactly once (or as often
as it says at most, where the engine has a lock in two places), so that none can rot unseen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.interleavings.runner import PAUSE
from tests.interleavings.stage import Change


@dataclass(frozen=True, slots=True)
class Mutant:
    """`casts` are those that catch it, `breaks` the invariants of which one is violated."""

    name: str
    changes: Sequence[Change]
    casts: Sequence[str]
    breaks: Sequence[str]


SETTLE, SHORT, RESCUE = "30_settle.sql", "31_settle_succeeded.sql", "39_rescue.sql"
LOOK = "    select jsonb_agg(jsonb_build_object('id', j.id, 'token', j.token, 'outcome', 'lost'"
# Between the lock of a lost worker's row and the look at its jobs: where a claim could slip in, if the row were not locked.
PAUSED_RESCUE: Change = (RESCUE, LOOK, f"    {PAUSE}\n{LOOK}")
# Between the two looks of a key: where its holder can settle.
PAUSED_KEY: Change = (
    "22_hold_key.sql",
    "    select k.job_id, k.until into _holder, _until",
    f"    {PAUSE}\n    select k.job_id, k.until into _holder, _until",
)
# Between a claim's look at its worker and the claim.
PAUSED_CLAIM: Change = (
    "33_step.sql",
    "  id := exists (select from pgqueue.queued_jobs q where q.queue = step.queue and q.suspect",
    f"  {PAUSE}\n  id := exists (select from pgqueue.queued_jobs q where q.queue = step.queue and q.suspect",
)
# Between a gate's look at its lane and what it makes of it.
PAUSED_GROUP: Change = (
    "44_gate_groups.sql",
    "    continue when _free and cardinality(_ok) >= room;",
    f"    {PAUSE}\n    continue when _free and cardinality(_ok) >= room;",
)
PAUSED_LIMIT: Change = (
    "45_gate_limits.sql",
    "      _places := _places || _place;\n",
    f"      {PAUSE}\n      _places := _places || _place;\n",
)
PAUSED_TICK: Change = (
    "68_tick.sql",
    "  foreach _tick in array tick.ticks loop",
    f"  {PAUSE}\n  foreach _tick in array tick.ticks loop",
)
PAUSED_RETRY: Change = (
    "54_retry.sql",
    "    _state := pgqueue.stored_state(retry.id);",
    f"    _state := pgqueue.stored_state(retry.id);\n    {PAUSE}",
)
PAUSES = (PAUSED_RESCUE, PAUSED_KEY, PAUSED_CLAIM, PAUSED_GROUP, PAUSED_LIMIT, PAUSED_TICK, PAUSED_RETRY)

MUTANTS = (
    Mutant(
        "settle-by-id-only",
        [(SETTLE, "g.id = j.id and g.token = j.token", "g.id = j.id"),
         (SHORT, "j.id = g.id and j.token = g.token", "j.id = g.id")],
        ["plain:rescue-and-reclaim,settle"],
        ["I3", "I4"],
    ),
    Mutant(
        "settle-by-state-only",
        [(SETTLE, "g.id = j.id and g.token = j.token", "g.id = j.id and j.worker_id is not null"),
         (SHORT, "j.id = g.id and j.token = g.token", "j.id = g.id and j.worker_id is not null")],
        ["plain:rescue-and-reclaim,settle"],
        ["I4"],
    ),
    Mutant(
        "short-settle-by-id-only",
        [(SHORT, "j.id = g.id and j.token = g.token", "j.id = g.id")],
        ["plain:rescue-and-reclaim,settle-short"],
        ["I3", "I4"],
    ),
    Mutant(
        "guard-without-token",
        [("60_guard.sql", "j.id = guard.id and j.token = guard.token for update", "j.id = guard.id for update")],
        ["plain:rescue-and-reclaim,complete"],
        ["I4", "I6"],
    ),
    Mutant(
        "guard-without-lock",
        [("60_guard.sql", "j.token = guard.token for update", "j.token = guard.token")],
        ["plain:guard,rescue"],
        ["I4"],
    ),
    Mutant(
        "rescue-by-a-stale-snapshot",
        [(RESCUE, LOOK, "    _stale := array(select q.id from pgqueue.queued_jobs q where q.worker_id = _worker.id);\n"
                        f"    {PAUSE}\n" + LOOK.replace("'token', j.token", "'token', j.token")),
         (RESCUE, "select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.worker_id = _worker.id order by q.id",
                  "select q.id, q.token, q.alone from pgqueue.queued_jobs q where q.id = any (_stale) and q.worker_id is not null order by q.id"),
         (RESCUE, "  _one jsonb;", "  _one jsonb;\n  _stale bigint[];")],
        ["plain:rescue,hand-back-and-reclaim"],
        ["I4", "I3"],
    ),
    Mutant(
        "rescue-without-the-workers-lock",
        [(RESCUE, "    limit 100\n    for update skip locked\n", "    limit 100\n"), PAUSED_CLAIM],
        ["plain:claim-silent,rescue"],
        ["I5"],
    ),
    Mutant(
        "claim-without-the-workers-lock",
        [("33_step.sql", "w.epoch = step.epoch and w.lost_at is null\n  for key share;", "w.epoch = step.epoch and w.lost_at is null;"),
         PAUSED_CLAIM],
        ["plain:claim-silent,rescue"],
        ["I5"],
    ),
    Mutant(
        "leave-without-the-workers-lock",
        [("40_leave.sql", "where w.id = leave.worker_id for update;", "where w.id = leave.worker_id;"), PAUSED_CLAIM],
        ["plain:claim-silent,leave"],
        ["I5"],
    ),
    Mutant(
        "count-what-remains-without-the-nodes-lock",
        [("29_advance_nodes.sql", "and not n.gather order by n.rank, n.id for no key update;", "and not n.gather order by n.rank, n.id;", 2),
         ("29_advance_nodes.sql", "select n.id, n.pending - s.pending as pending,",
          "select n.id, (select count(*) from pgqueue.flow_links l join pgqueue.flow_nodes p on p.id = l.parent_id where l.child_id = n.id and p.outcome is null)::integer as pending,"),
         ("29_advance_nodes.sql", "pgqueue.judge(n.pending - s.pending,",
          "pgqueue.judge((select count(*) from pgqueue.flow_links l join pgqueue.flow_nodes p on p.id = l.parent_id where l.child_id = n.id and p.outcome is null)::integer,")],
        ["barriers:settle-one,settle-two"],
        ["I6", "I5"],
    ),
    Mutant(
        "gathering-nodes-without-deltas",
        [("29_advance_nodes.sql", "where t.id = any (_left) and t.pending <> 0;", "where false;")],
        ["gathering:settle-one,settle-two"],
        ["I6", "I5"],
    ),
    Mutant(
        "group-claim-by-not-exists",
        [("44_gate_groups.sql", "    order by l.key\n    for update skip locked\n", "    order by l.key\n"),
         ("44_gate_groups.sql", "      _ok := _ok || array_remove(array[pgqueue.hand_on(queue, _key, at, false)], null);",
          ("      insert into pgqueue.permits (job_id, kind, name, key, granted_at) select min(c.id), 'group', queue, _key, at from unnest(_ids, _keys) as c (id, key) where c.key = _key;\n"
          "      _ok := _ok || (select min(c.id) from unnest(_ids, _keys) as c (id, key) where c.key = _key);"))],
        ["lines:claim-group,claim-group"],
        ["I8"],
    ),
    Mutant(
        "group-turn-not-handed-on",
        [("43_release.sql", "        perform pgqueue.hand_on(_lane.name, _lane.key, at, true);", "        null;"),
         ("42_hand_on.sql", "        _called := _called + (pgqueue.hand_on(_lane.name, _lane.key, _at, false) is not null)::integer;", "        null;")],
        ["running:settle,claim-series"],
        ["I5"],
    ),
    Mutant(
        "permits-without-the-lanes-lock",
        [("45_gate_limits.sql", "where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;",
          "where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place];", 2)],
        ["lines:claim-limit,claim-limit"],
        ["I9"],
    ),
    Mutant(
        "permits-kept-by-the-rescued",
        [(SETTLE, "  if _gated is not null then\n    perform pgqueue.release", "  if _gated is not null and not outcomes @> '[{\"outcome\": \"lost\"}]' then\n    perform pgqueue.release")],
        ["running:rescue,settle"],
        ["I6"],
    ),
    Mutant(
        "rate-without-the-lanes-lock",
        [("45_gate_limits.sql", "where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place] for update skip locked;",
          "where l.kind = 'limit' and l.name = _names[_place] and l.key = _keys[_place];", 2)],
        ["rates:claim-one,claim-one"],
        ["I9"],
    ),
    Mutant(
        "key-in-one-statement",
        [("22_hold_key.sql", "    continue when not found;\n", "    if not found then\n      return null;\n    end if;\n"),
         PAUSED_KEY],
        ["waiting:enqueue-plain,cancel-plain"],
        ["I2"],
    ),
    Mutant(
        "key-by-looking-first",
        [("22_hold_key.sql", "    insert into pgqueue.job_keys (job_id, queue, key, until)\n    values (hold_key.job_id, hold_key.queue, hold_key.key, hold_key.until)\n    on conflict do nothing;\n    if found then",
          ("    if not exists (select from pgqueue.job_keys k where k.queue = hold_key.queue and k.key = hold_key.key) then\n"
          f"    {PAUSE}\n"
          "    insert into pgqueue.job_keys (job_id, queue, key, until)\n    values (hold_key.job_id, hold_key.queue, hold_key.key, hold_key.until) on conflict do nothing;"))],
        ["waiting:enqueue-new,enqueue-new"],
        ["I2"],
    ),
    Mutant(
        "keys-in-the-order-given",
        [("26_many_keys.sql", "order by coalesce(g.job ->> 'queue', 'default') collate \"C\", (g.job ->> 'key') collate \"C\", g.place", "order by g.place"),
         ("26_many_keys.sql", "    if _holder is not null then\n      _ids[_new.place] := -_holder;", f"    {PAUSE}\n    if _holder is not null then\n      _ids[_new.place] := -_holder;")],
        ["waiting:enqueue-many,enqueue-many-back"],
        ["I14"],
    ),
    Mutant(
        "holders-in-the-order-given",
        [("26_many_keys.sql", "where g.id < 0 order by -g.id, g.place loop", "where g.id < 0 order by g.place loop"),
         ("23_replace_job.sql", "  if not found then\n    return false;\n  end if;", f"  if not found then\n    return false;\n  end if;\n  {PAUSE}")],
        ["waiting:replace-many,replace-many-back"],
        ["I14"],
    ),
    Mutant(
        "replace-a-job-that-runs",
        [("23_replace_job.sql", "where j.id = replace_job.id and j.worker_id is null for update;", "where j.id = replace_job.id for update;"),
         ("23_replace_job.sql", "  where j.id = replace_job.id and j.worker_id is null;\n", "  where j.id = replace_job.id;\n")],
        ["waiting:replace-plain,claim"],
        ["I7"],
    ),
    Mutant(
        "tick-without-the-key-and-the-place",
        [("68_tick.sql", "s.since = tick.since and s.next_at is not distinct from tick.expected_next_at and s.paused_at is null\n  for update skip locked;", "true\n  for update;"),
         ("68_tick.sql", "    continue when exists (select from pgqueue.schedule_ticks t where t.schedule = tick.name and t.tick_at = _tick);\n", ""),
         ("68_tick.sql", "insert into pgqueue.schedule_ticks (schedule, tick_at, job_id) values (tick.name, _tick, _job);",
          "insert into pgqueue.schedule_ticks (schedule, tick_at, job_id) values (tick.name, _tick, _job) on conflict do nothing;")],
        ["schedules:tick,tick"],
        ["I10"],
    ),
    Mutant(
        "clock-of-a-host-that-is-ahead",
        [("33_step.sql", "  _at constant timestamptz := clock_timestamp();", "  _at constant timestamptz := clock_timestamp() + interval '2 h';")],
        ["lines:claim-later,claim-later"],
        ["I7"],
    ),
    Mutant(
        "release-without-token",
        [(SETTLE, "g.id = j.id and g.token = j.token", "g.id = j.id and (g.token = j.token or g.outcome = 'released' and j.worker_id is not null)")],
        ["plain:rescue-and-reclaim,hand-back"],
        ["I4"],
    ),
    Mutant(
        "lost-forgets-that-it-lost",
        [(SETTLE, "        suspect = j.suspect or h.outcome = 'lost'", "        suspect = j.suspect")],
        ["plain:rescue,claim"],
        ["I11"],
    ),
    Mutant(
        "a-cancel-that-overwrites-a-claim",
        [("48_cancel_waiting.sql", "where j.id = try_waiting.id and j.worker_id is null for update skip locked;", "where j.id = try_waiting.id for update skip locked;"),
         ("48_cancel_waiting.sql", "delete from pgqueue.queued_jobs j where j.id = cancel_waiting.id and j.worker_id is null", "delete from pgqueue.queued_jobs j where j.id = cancel_waiting.id")],
        ["waiting:claim,cancel-plain"],
        ["I3"],
    ),
    Mutant(
        "retry-without-its-key",
        [("54_retry.sql", "  if _job.key is not null then", "  if false then")],
        ["dead:retry,enqueue-key"],
        ["I2"],
    ),
)  # fmt: skip
