"""The worker: from a due job to its settled outcome.

    wake.py      sleeps until there may be work
    claim.py     leases due jobs, in one round trip with the settling of the last ones
    execute.py   runs them: async handlers on the loop, sync ones in threads.py, cpu ones in processes.py
    settle.py    keeps the outcomes until they are recorded
    lease.py     beats for the lease, from a thread of its own
    worker.py    joins these into one process; fleet.py supervises several

Stages do not import one another; `worker.py` is where they meet.
"""
