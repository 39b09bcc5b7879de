"""The figures that pgqueue promises, each beside its floor in the same run. See README.md; `python -m benchmarks.all --quick`.

    harness.py    one run: the server, the repeats, the bars, the report          house.py   what is in the database: empty, fill, read history
    programs.py   processes of a run and what they cost                          figures.py medians, percentiles, tables
    jobs.py       the App whose jobs are run                                      bare_loop.py, bare_listener.py, sleeper.py  the floors and the foils
    drain.py pickup.py enqueue.py pinned.py fleet_kills.py   one scenario each    all.py     every scenario, one server
"""
