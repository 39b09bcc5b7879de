"""The soak: real workers and producers under a nemesis, a ledger outside PostgreSQL, and a checker that can fail.

python -m tests.soak --quick                     20,000 jobs in 90 s
python -m tests.soak --long --minutes 40         1,000,000 jobs; `make soak`
python -m tests.soak --quick --mutant NAME       an engine broken on purpose: must be caught
python -m tests.soak.drift --minutes 60          memory, descriptors and tables over time

plan.py      how much of everything, and what happens how often; the schedule of faults, a function of the seed
server.py    the durable server, which is crashed         proxy.py   the network, which is spoiled
app.py       the tasks                                    producer.py   a process that enqueues
fleets.py    `pgq work` fleets and producers as processes nemesis.py    what does the faults
ledger.py    files of lines, one a process                audit.sql     what the database itself saw
harvest.py   reads both into values                       rules.py, lanes.py   what must hold of them
verdict.py   counts, bars, the summary                    run.py        one run from beginning to end
mutants.py   engines that are wrong                       failpoints.py kills at one message of the protocol
"""
