-- Adds up what nodes with many parents were not told yet.
select pgqueue.fold_nodes()
