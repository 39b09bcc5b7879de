-- Adds what attempts came to since the last fold to the statistics; null when another session is at it.
select pgqueue.fold_statistics() as attempts
