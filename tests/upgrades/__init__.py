"""The release before and this one on the same database."""
