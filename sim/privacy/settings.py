"""The `privacy` config group: the deltas at which epsilons are reported."""

from dataclasses import dataclass

from sim.checks import within

POWER = 1.1  # delta = n^-1.1 where none is set, below one in n (McMahan et al., ICLR 2018)


@dataclass
class Privacy:
    """Deltas of the run's epsilons; they change nothing else."""

    delta_sites: float = 0.0  # [0, 1); of noise at the server; 0 = N^-1.1 for N sites that train
    delta_records: float = 0.0  # [0, 1); of noise at the sites; 0 = n_k^-1.1 for n_k training rows of a site

    def __post_init__(self) -> None:
        within("privacy.delta_sites", self.delta_sites, 0, 1, open_high=True)
        within("privacy.delta_records", self.delta_records, 0, 1, open_high=True)

    def of_sites(self, sites: int) -> float:
        """Delta of a federation of so many sites."""
        return self.delta_sites or min(sites**-POWER, 0.5)

    def of_records(self, rows: int) -> float:
        """Delta of a site with so many training rows."""
        return self.delta_records or min(rows**-POWER, 0.5)
