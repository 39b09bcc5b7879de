"""`pgq top`: what it reads, what it shows, what its keys do."""
