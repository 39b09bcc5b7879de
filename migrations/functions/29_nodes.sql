-- Whether a job is a node of a flow.
create function pgqueue.is_node(id bigint) returns boolean
language sql stable
return exists (select from pgqueue.flow_nodes n where n.id = is_node.id);

-- What the end of these nodes means for others, in the transaction that settles them (I6): an array of {id, outcome, result, error},
-- outcomes succeeded, cancelled and dead, ids ascending.
create function pgqueue.settle_nodes(ended jsonb, at timestamptz) returns void
language sql as $$
  update pgqueue.flow_nodes n set outcome = e.outcome, result = e.result
  from jsonb_to_recordset(ended) as e (id bigint, outcome text, result jsonb) where n.id = e.id
$$;
