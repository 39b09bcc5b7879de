-- Takes the limits that the code declares; returns those that are new or changed.
select name, verdict from pgqueue.declare_limits(%(definitions)s::jsonb)
