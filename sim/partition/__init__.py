"""Partitions by the name they have in a config."""

from sim.partition.base import Partition
from sim.partition.iid import IID
from sim.partition.label import Dirichlet
from sim.partition.natural import Natural
from sim.partition.quantity import Quantity

PARTITIONS: dict[str, type[Partition]] = {
    "natural": Natural,
    "iid": IID,
    "dirichlet": Dirichlet,
    "quantity": Quantity,
}
