"""Partitions: entries of the `partition` config group."""

from sim.partition.base import Partition
from sim.partition.iid import Iid
from sim.partition.label import Dirichlet
from sim.partition.natural import Natural
from sim.partition.quantity import Quantity

PARTITIONS: dict[str, type[Partition]] = {
    "natural": Natural,
    "iid": Iid,
    "dirichlet": Dirichlet,
    "quantity": Quantity,
}
