"""Who may do what in the database, and what those try who may not."""
