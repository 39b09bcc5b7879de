-- An attempt as the evidence of a dead letter holds it.
create function pgqueue.attempt_evidence(attempt integer, worker_id bigint, started_at timestamptz, finished_at timestamptz,
  outcome text, error jsonb) returns jsonb
language sql stable
return jsonb_build_object('attempt', attempt, 'worker_id', worker_id, 'started_at', started_at, 'finished_at', finished_at,
                          'outcome', outcome, 'error', error);
