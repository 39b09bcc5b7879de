"""What must not be seen is marked, everything is made to fail, and nothing of it is found where it does not belong."""
