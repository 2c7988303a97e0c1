"""The groups of the config and their entries by name. Entries of plugins are added when they are chosen."""

from sim.cohort import COHORTS
from sim.engine.exact import EXACT
from sim.engine.executors import EXECUTORS
from sim.engine.own_loops import OWN_LOOPS
from sim.engine.references import REFERENCES
from sim.methods.aggregators import AGGREGATORS
from sim.methods.algorithms import ALGORITHMS
from sim.methods.attacks import ATTACKS
from sim.methods.personal import PERSONAL
from sim.methods.servers import SERVERS
from sim.methods.systems import SYSTEMS
from sim.methods.uplink import UPLINK
from sim.partition import PARTITIONS
from sim.tasks import TASKS
from sim.tasks.nets import NETS

GROUPS: dict[str, dict[str, type]] = {
    "cohort": dict(COHORTS),
    "partition": dict(PARTITIONS),
    "task": dict(TASKS),
    "net": dict(NETS),
    "algorithm": {**ALGORITHMS, **OWN_LOOPS, **EXACT, **REFERENCES},
    "uplink": dict(UPLINK),
    "attack": dict(ATTACKS),
    "aggregator": dict(AGGREGATORS),
    "server": dict(SERVERS),
    "personal": dict(PERSONAL),
    "system": dict(SYSTEMS),
    "executor": dict(EXECUTORS),
    "scenario": {},  # presets alone, in configs/scenario
}

CHAINS = ("uplink",)  # groups of which several entries may be taken, in the order given
