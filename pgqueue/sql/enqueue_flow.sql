-- Adds a flow in the caller's transaction; its id, and the ids of its entries in their order.
select flow_id, ids from pgqueue.enqueue_flow(%(flow)s::jsonb)
