-- Folds what the statistics have noted, unless a worker is alive that does it.
select pgqueue.fold_statistics() where not exists (select from pgqueue.workers w where w.alive and w.version is not null)
