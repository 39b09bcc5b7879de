-- The upper bounds of the histograms' buckets, in seconds; the last bucket is open.
select pgqueue.bucket_bounds() as bounds
