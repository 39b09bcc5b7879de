"""Lists of jobs at any number of jobs: filters, paging by keyset, and the statements, the same for the dashboard and
for `pgq jobs ls`. No I/O: a search yields the statements that it wants run, and is told their rows."""
