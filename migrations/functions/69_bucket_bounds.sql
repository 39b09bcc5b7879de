-- The upper bounds of the buckets of every histogram here, in seconds, themselves included; one more bucket is open. The same that workers'
-- own metrics have (pgqueue/worker/tally.py).
create function pgqueue.bucket_bounds() returns double precision[]
language sql immutable parallel safe
return array[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800]::double precision[];

-- The bucket of so many seconds, from 1 to 16: the first whose bound is not below. Counted from above, because width_bucket puts a bound itself
-- into the bucket that follows.
create function pgqueue.bucket_of(seconds double precision) returns integer
language sql immutable parallel safe
return 16 - width_bucket(- seconds, array[-1800, -300, -60, -30, -10, -5, -2.5, -1, -0.5, -0.25, -0.1, -0.05, -0.025, -0.01, -0.005]::double precision[]);
