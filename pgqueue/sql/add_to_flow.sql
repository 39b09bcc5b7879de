-- Adds jobs to the flow of the running job whose lease this is; their ids in order.
select pgqueue.add_to_flow(%(id)s::bigint, %(token)s::bigint, %(jobs)s::jsonb)
