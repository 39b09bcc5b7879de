-- The gates of a new job as job_args keeps them, null when it has none: the turn in its group, the limits with their keys and weights,
-- the key that its queue's shares go by. `limits` is as enqueue takes it: a name, an array of names, or an object {name: key} or
-- {name: {"key": key, "weight": n}}.
create function pgqueue.job_gates(group_key text, group_retry text, limits jsonb, fair_key text) returns jsonb
language sql immutable parallel safe
return nullif(jsonb_strip_nulls(jsonb_build_object(
  'group', group_key,
  'pass', case when group_retry = 'pass' then true end,
  'fair', fair_key,
  'limits', (
    select jsonb_object_agg(o.key, case jsonb_typeof(o.value) when 'object' then '{"key": "", "weight": 1}' || jsonb_strip_nulls(o.value)
                                   else jsonb_build_object('key', coalesce(o.value #>> '{}', ''), 'weight', 1) end)
    from jsonb_each(case jsonb_typeof(limits)
                      when 'object' then limits
                      when 'array' then (select jsonb_object_agg(n, '') from jsonb_array_elements_text(limits) n)
                      when 'string' then jsonb_build_object(limits #>> '{}', '') end) o))), '{}');
