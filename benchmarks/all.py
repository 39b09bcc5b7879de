"""Every scenario, one after the other, on one server: `python -m benchmarks.all --quick`."""

from benchmarks import drain, enqueue, fleet_kills, flows, groups, limits, pickup, pinned
from benchmarks.harness import main

if __name__ == "__main__":
    main(
        drain=drain.run,
        pickup=pickup.run,
        enqueue=enqueue.run,
        pinned=pinned.run,
        fleet_kills=fleet_kills.run,
        flows=flows.run,
        groups=groups.run,
        limits=limits.run,
    )
