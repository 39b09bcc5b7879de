-- Removes a limit.
select pgqueue.drop_limit(%(name)s::text) as removed
