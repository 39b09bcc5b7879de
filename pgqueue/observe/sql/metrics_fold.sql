-- Add what ended since the last fold to the statistics, while no worker does (those of 0.1.0 do not know how).
select pgqueue.fold_statistics() where not exists (select from pgqueue.workers w where w.alive and w.version is not null)
