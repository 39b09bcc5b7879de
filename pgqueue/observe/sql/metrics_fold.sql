-- Fold the statistics into minutes, as a worker's keeper does.
select pgqueue.fold_statistics()
