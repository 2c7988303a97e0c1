"""Partitions: entries of the `partition` config group."""

from sim.partition.affinity import Affinity
from sim.partition.base import Partition
from sim.partition.iid import Iid
from sim.partition.label import Dirichlet, InnerDirichlet, Pachinko
from sim.partition.natural import Natural
from sim.partition.pathological import Pathological, Shards
from sim.partition.quantity import Quantity

PARTITIONS: dict[str, type[Partition]] = {
    "natural": Natural,
    "iid": Iid,
    "affinity": Affinity,
    "dirichlet": Dirichlet,
    "inner_dirichlet": InnerDirichlet,
    "pachinko": Pachinko,
    "pathological": Pathological,
    "shards": Shards,
    "quantity": Quantity,
}
