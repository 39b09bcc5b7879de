"""`python -m pgqueue.cli` is `pgq`."""

from pgqueue.cli import main

main()
