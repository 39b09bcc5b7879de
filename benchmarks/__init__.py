"""The figures that pgqueue promises, each beside its floor in the same run: `python -m benchmarks.all --quick`.

See README.md. The parts:

    harness.py    one run: the server, the repeats, the bars, the report
    house.py      what is in the database: empty it, fill it, read the history
    programs.py   the processes of a run, and what they cost
    stopwatch.py  times pick-ups
    figures.py    medians, percentiles, tables
    jobs.py       the App whose jobs are run
    bare_loop.py, bare_listener.py, sleeper.py                       the floors and the foil
    drain.py, pickup.py, enqueue.py, pinned.py, fleet_kills.py       one scenario each
    all.py        every scenario on one server
"""
