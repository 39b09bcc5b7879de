"""What a supervisor and its children agree on."""

SETTINGS = "PGQ_WORKER_SETTINGS"  # the environment variable with a child's settings as JSON
RECYCLED = 75  # the exit status of a child that has done its share: start another
