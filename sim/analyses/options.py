"""Options of the analyses, given on the command line in addition to the experiment."""

from dataclasses import dataclass

from sim.checks import within


@dataclass(frozen=True)
class Options:
    """Options of all analyses; each reads its own."""

    treated: str = "treated"  # column: new treatment or not
    marker: str = ""  # column; empty = the one the cohort calls predictive
    features: str = "gene_"  # prefix of the columns of candidate biomarkers
    rate: float = 0.05  # (0, 1); false discovery rate
    halves: int = 20  # 0, or >= 2; number of random halves for estimating stability
    year: str = ""  # column; empty = the usual names
    group: str = ""  # column whose values have trends of their own; empty = the cancer
    by: str = ""  # column whose values have survival curves of their own; empty = one curve
    threshold: int = 11  # >= 1; cells below it are hidden. CMS Cell Size Suppression Policy: 11

    def __post_init__(self) -> None:
        within("--rate", self.rate, 0, 1, open_low=True, open_high=True)
        within("--halves", self.halves, 0)
        if self.halves == 1:
            within("--halves", self.halves, 2)
        within("--threshold", self.threshold, 1)
