"""How many worker processes a load needs, and when to change their number. I/O-free.

`demand.py` turns a measured load into a number, `controller.py` follows it over time without flapping, `trial.py` stops
growth that does not help. The fleet feeds it what its children report, `pgq autoscale` what the database has recorded.
"""

from pgqueue.scaling.controller import Controller, Decision, Sample
from pgqueue.scaling.demand import Demand, Load, Policy, demand

__all__ = ["Controller", "Decision", "Demand", "Load", "Policy", "Sample", "demand"]
