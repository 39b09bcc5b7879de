# ruff: noqa: E501 - SQL and names of tests are told on one line
"""Who may call, read and write what: the expectation that the catalogue is held against.

A function, table or view that is not named here fails the test: whoever adds one decides who may use it.
"""

ROLES = ("producer", "worker", "viewer", "admin")

# Producers call these and nothing else; they run with their owner's rights.
ENQUEUE = {"enqueue", "enqueue_many", "enqueue_flow"}
# Further functions with their owner's rights, because they change what only an owner may.
OWNERS = {"make_partitions", "drop_day", "summarize_history", "set_quota", "enforce_quota", "note_action"}
# What operators decide: not for workers.
OPERATORS = {
    "drop_limit", "pause", "pause_schedule", "redrive", "remove", "resume", "resume_schedule", "run_schedule", "schedule",
    "set_limit", "set_queue", "set_quota", "set_share", "unschedule",
}  # fmt: skip
# Roles and rights are the schema's owner's business.
OWNER_ONLY = {"grant_roles", "role_rights", "enforce_quota"}
VIEWED = {"bucket_bounds", "default_burst"}  # the view of limits calls it with the reader's rights
# With their owner's rights, for who may see numbers but not jobs.
COUNTED = {"backlog", "depths", "history_depths"}
# What workers call, and what those functions call: with the caller's rights on the tables.
WORKERS = {
    "batch_ends", "is_undone", "lock_reach", "recall_skipped",
    "note_failover", "note_incident", "reconcile", "server_state", "timeline_begin", "version_parts",
    "add_nodes", "add_to_flow", "adopt_parents", "advance_nodes", "attempt_evidence", "beat", "breaches",
    "call_waiting", "cancel", "cancel_dead", "cancel_flow", "cancel_waiting", "carry_args", "check_new_jobs",
    "claim", "claim_alone", "complete", "deal", "declare_limits", "declare_schedules", "end_blocked",
    "end_listener", "ended", "enqueue_special", "ensure_day", "expired_days", "flow_entries_error",
    "flow_entry_names", "flow_links_of", "flow_order", "flow_parents", "fold_nodes", "bucket_of", "fold_statistics",
    "fold_window", "named_queues", "sample_depths", "sum_buckets", "gate", "gate_groups",
    "gate_limits", "gate_shares", "guard", "hand_on", "hand_on_idle", "hits", "hold_key", "hold_keys", "is_node",
    "iso_time", "job_gates", "jobs_ahead", "judge", "keep_logs", "key_holds", "known_schedule", "lease_states", "leave",
    "let_go", "limit_rule_error", "limits_error", "line_up", "make_lane", "meet_holder", "meet_holders", "misses",
    "new_job_error", "new_job_names", "oldest_due", "park", "priorities", "recover", "register_worker", "release",
    "release_line", "reopen_nodes", "replace_job", "report_progress", "requeue_cancelled", "requeue_dead",
    "requeue_dead_singly", "rescue", "retry", "retry_flow", "role_name", "save_limit", "save_schedule",
    "schedule_error", "schedule_failed", "schema_name", "settle", "settle_nodes", "settle_succeeded", "skips",
    "step", "step_logging", "store_step", "stored_state", "stored_steps", "sweep_cancel_requests", "sweep_flows", "sweep_lanes",
    "sweep_lines", "sweep_steps", "take_series", "tell_undone", "tick", "told_count", "told_job", "told_span",
    "told_time", "try_waiting", "unknown_flow", "unknown_job", "unknown_outcome", "wake", "wake_channel",
    "wake_key", "why", "why_barrier", "why_dependency", "why_due", "why_ended", "why_group", "why_limits",
    "why_running", "why_share", "why_workers",
}  # fmt: skip

READ_ONLY_FOR_WORKERS = {"compatibility", "fair_weights", "paused_queues", "queue_policies", "queue_quotas", "settings"}
TABLES = {
    "attempt_lines", "failovers", "failover_jobs", "incident_log",
    "depth_minutes", "overall_minutes", "statistics_minutes", "statistics_state", "statistics_sums",
    "cancel_requests", "dead_jobs", "finished_jobs", "flow_deltas", "flow_links", "flow_nodes", "job_args",
    "job_attempts", "job_flows", "job_keys", "job_progress", "job_schedules", "job_steps", "lane_waits", "lanes",
    "limit_rules", "permits", "queued_jobs", "schedule_ticks", "worker_processes",
} | READ_ONLY_FOR_WORKERS  # fmt: skip
VIEWS = {
    "attempt_logs", "attempts", "audit", "flow_jobs", "flows", "jobs", "limits", "permit_holders", "queues", "schedules", "steps", "unknown_tasks", "workers",
    "depth_history", "overall_history", "partitions", "statistics", "statistics_totals", "worker_incidents",
}  # fmt: skip
CONTENTS = {"args", "meta", "result", "error", "lines"}


def callers(function: str) -> set[str]:
    """Who may call a function, besides the schema's owner. KeyError: nobody has decided."""
    if function in OWNER_ONLY:
        return set()
    if function in OPERATORS | {"note_action"}:
        return {"admin"}
    if function in ENQUEUE:
        return {"producer", "worker", "admin"}
    if function in VIEWED | COUNTED:
        return {"worker", "viewer", "admin"}
    if function in WORKERS | OWNERS:
        return {"worker", "admin"}
    raise KeyError(f"{function}: tests/roles/matrix.py does not say who may call it")


def rights(relation: str) -> dict[str, set[str]]:
    """What each role may do with a table or view. KeyError: nobody has decided."""
    everything, reading = {"select", "insert", "update", "delete"}, {"select"}
    if relation in VIEWS:
        return {"producer": set(), "worker": reading, "viewer": reading, "admin": reading}
    if relation == "audit_log":
        return {"producer": set(), "worker": set(), "viewer": set(), "admin": reading}
    if relation == "alembic_version":
        return {"producer": set(), "worker": reading, "viewer": reading, "admin": reading}
    if relation in TABLES:
        worker = reading if relation in READ_ONLY_FOR_WORKERS else everything
        return {"producer": set(), "worker": worker, "viewer": set(), "admin": everything}
    raise KeyError(f"{relation}: tests/roles/matrix.py does not say who may use it")
