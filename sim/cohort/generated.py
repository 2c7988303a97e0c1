"""Generated benchmarks: data that papers on federated learning draw site by site; no patients, no disease."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import Refused, within
from sim.cohort.outcomes import Binary, Kind
from sim.cohort.table import Cohort, Source
from sim.lazy import pd
from sim.random import stream

DIMENSION = 60  # of synthetic(alpha, beta)
CUBE_SITES = 4  # of FCUBE, one per pair of opposite octants


@dataclass
class Synthetic(Source):
    """synthetic(alpha, beta): 60 features, and a softmax model that differs by site.

    Li et al., Federated optimization in heterogeneous networks, MLSys 2020, after Shamir et al., ICML 2014. Site k:
    `W, b ~ N(u, 1)`, `u ~ N(0, alpha^2)`; `x ~ N(v, diag(j^-1.2))`, `v ~ N(B, 1)`, `B ~ N(0, beta^2)`;
    `class = argmax(W x + b)`; 50 + LogNormal(4, 2) rows. alpha and beta are standard deviations, as in the paper's
    code. A flaw of the definition is kept: u shifts all classes alike, so alpha changes no class
    (datasets/synthetic/card.md).
    """

    draws = True

    alpha: float = 1.0  # >= 0; sd between sites of the mean of the coefficients
    beta: float = 1.0  # >= 0; sd between sites of the mean of the features' means
    iid: bool = False  # one W and b for all sites, and v = 0: synthetic_iid
    sites: int = 30  # 1..10^6
    classes: int = 10  # 2..1000; outcome `label` is whether the class is in their upper half
    consortium: int = 0  # >= 0; which draw of sites; the seed of a run draws the rows

    def __post_init__(self) -> None:
        within("cohort.alpha", self.alpha, 0)
        within("cohort.beta", self.beta, 0)
        within("cohort.sites", self.sites, 1, 10**6)
        within("cohort.classes", self.classes, 2, 1000)
        within("cohort.consortium", self.consortium, 0)
        if self.iid and (self.alpha or self.beta):
            raise Refused(
                f"cohort.iid=true with cohort.alpha={self.alpha:g}, cohort.beta={self.beta:g}: identical sites have "
                "neither. Set both to 0."
            )

    def knows_truth(self, kind: Kind) -> bool:
        """Of its label, which is a function of the features."""
        return kind is Binary

    def load(self, seed: int) -> Cohort:
        """Rows of all sites; the column `class` is not a predictor, but partition.by may name it."""
        parts = [self.rows(number, seed) for number in range(self.sites)]
        x, y = np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])
        site = np.repeat(np.arange(self.sites), [len(y) for _, y in parts])
        table = pd.DataFrame({"patient": patient_numbers(site), "site": site_names(site, self.sites)})
        table["class"] = pd.Categorical.from_codes(y, pd.Index([str(name) for name in range(self.classes)]))
        table["label"] = y >= (self.classes + 1) // 2
        return build_cohort("synthetic", self, seed, table, x)

    def rows(self, number: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
        """Features [n, 60] and class [n] of a site; drawing more rows does not change the first ones."""

        def law(*path: int | str) -> np.random.Generator:
            return stream(self.consortium, "synthetic", *path)

        size = 50 + int(law(number, "size").lognormal(4, 2))
        model = "all" if self.iid else number
        shift = 0.0 if self.iid else self.alpha * law(number, "u").standard_normal()
        w = shift + law(model, "w").standard_normal((DIMENSION, self.classes))
        b = shift + law(model, "b").standard_normal(self.classes)
        centre = self.beta * law(number, "B").standard_normal() + law(number, "v").standard_normal(DIMENSION)
        z = stream(seed, "synthetic", number).standard_normal((size, DIMENSION))
        x = (0.0 if self.iid else centre) + z * np.arange(1, DIMENSION + 1) ** -0.6
        return x, np.argmax(x @ w + b, axis=1)


@dataclass
class Fcube(Source):
    """FCUBE: points of a cube; each of four sites holds two opposite octants. Feature skew without label skew.

    Li et al., Federated learning on non-IID data silos, ICDE 2022. Site k draws `x1, x2, x3 ~ U(0, 1)`, negates x2 for
    k = 2, 3 and x3 for k = 1, 3, and all three in every second row; the label is `x1 < 0`. The same plane separates the
    classes at every site.
    """

    draws = True

    rows: int = 4000  # 8..10^8, of all four sites together; at least one row of either label per site

    def __post_init__(self) -> None:
        within("cohort.rows", self.rows, 2 * CUBE_SITES, 10**8)

    def knows_truth(self, kind: Kind) -> bool:
        """Of its label, which is a function of the features."""
        return kind is Binary

    def load(self, seed: int) -> Cohort:
        """Rows of all sites."""
        sizes = np.diff(np.arange(CUBE_SITES + 1) * self.rows // CUBE_SITES)
        site = np.repeat(np.arange(CUBE_SITES), sizes)
        inside = np.arange(self.rows) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        x = np.concatenate([stream(seed, "fcube", k).random((int(n), 3)) for k, n in enumerate(sizes)])
        x[:, 1] *= np.where(site > 1, -1, 1)
        x[:, 2] *= np.where(site % 2 == 1, -1, 1)
        label = inside % 2 == 1
        x[label] *= -1
        table = pd.DataFrame({"patient": patient_numbers(site), "site": site_names(site, CUBE_SITES), "label": label})
        return build_cohort("fcube", self, seed, table, x)


def build_cohort(name: str, source: Synthetic | Fcube, seed: int, table: pd.DataFrame, x: Floats) -> Cohort:
    """Cohort of a table and its features x1, x2, ... [R, D]; the label is a noiseless function of them: the truth."""
    predictors = tuple(f"x{number}" for number in range(1, x.shape[1] + 1))
    settings = ", ".join(f"{key}={value}" for key, value in asdict(source).items())
    return Cohort(
        name=name,
        table=pd.concat([table, pd.DataFrame(x, columns=list(predictors))], axis=1),
        outcomes={"label": Binary("label")},
        predictors={"label": predictors},
        truth=pd.DataFrame({"label": table["label"].astype(np.float64)}),
        notes={"source": "generated benchmark; no patients", "settings": settings, "seed": str(seed)},
    )


def patient_numbers(site: NDArray[np.int64]) -> NDArray[np.int64]:
    """Patient number of every row, `site * 2^32 + row within the site`; rows are ordered by site; int [R]."""
    size = np.bincount(site)
    return site * 2**32 + np.arange(len(site)) - (np.cumsum(size) - size)[site]


def site_names(site: NDArray[np.int64], sites: int) -> NDArray[np.str_]:
    """Site name of every row, `device-01` and so on; str [R]."""
    width = max(2, len(str(sites)))
    return np.array([f"device-{number:0{width}d}" for number in range(1, sites + 1)])[site]
