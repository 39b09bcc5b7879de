"""`pgq top`: the queue as it is now, in a terminal: queues, workers, what runs, dead letters."""
