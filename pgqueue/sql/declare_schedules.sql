-- Takes the schedules that the code declares; returns those that are new or changed.
select name, verdict from pgqueue.declare_schedules(%(definitions)s::jsonb)
