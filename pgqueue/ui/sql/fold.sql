-- Folds what the statistics have noted and no worker has folded.
select pgqueue.fold_statistics()
