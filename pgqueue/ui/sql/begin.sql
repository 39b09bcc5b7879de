-- Makes a transaction what it is to be: read-only or not, bounded in time (milliseconds), in a role ("none": the user's own). Returns the
-- database's time. Settings are local to the transaction.
select set_config('transaction_read_only', %(read_only)s, true), set_config('statement_timeout', %(limit)s, true),
       set_config('lock_timeout', %(lock)s, true), set_config('role', %(role)s, true), clock_timestamp() as now
