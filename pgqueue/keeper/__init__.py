"""What keeps the house in order: rescue, sweeps, partitions, retention.

Every worker runs all duties, each in its turn and on the lease's connection; none needs a leader. Whatever two of
them do at once is either done twice without harm or passed by (SKIP LOCKED, advisory locks that are only tried).
"""
