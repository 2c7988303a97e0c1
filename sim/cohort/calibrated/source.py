"""The calibrated cohort: synthetic patients with published margins and known truth.

`datasets/calibrated/card.md` describes how it is made; `published` holds the numbers, `centres` the differences between
hospitals, `patients` and `course` the distribution of a patient, `baseline_hazards` the calibration to survival.
"""

from dataclasses import dataclass, field, fields, replace
from enum import Enum

import numpy as np

from sim.checks import Refused, one_of, within
from sim.cohort.calibrated import genes, published
from sim.cohort.calibrated import known_effects as truths
from sim.cohort.calibrated.blocks import to_frame
from sim.cohort.calibrated.centres import apportion, centres, referral_factors, relative_sizes
from sim.cohort.calibrated.outcomes import add_outcomes, predictors, unlearnable
from sim.cohort.calibrated.published import INSURANCES, RACES, STAGES
from sim.cohort.calibrated.table import derived_columns, draw_table
from sim.cohort.calibrated.world import Hard, World
from sim.cohort.outcomes import Categorical, Kind
from sim.cohort.table import Cohort, Source
from sim.files import fingerprint
from sim.lazy import pd

CAUSES = ("other", "cancer")
MOST_PATIENTS = 10**8  # some 50 GB
MOST_VALUES = 2**28  # of genes: 1 GiB in single precision, and as much again in the federation


@dataclass
class Calibrated(Source):
    """Synthetic cancer patients of a consortium, calibrated to registries; truth known.

    The seed of a run draws the patients, `consortium` the centres, so a consortium can be simulated with new patients.
    `het` and `tau` keep every draw: a patient of `het=0.7` is the patient of `het=0` at a hospital with effects.
    """

    draws = True

    cancers: list[str] = field(default_factory=lambda: ["breast"])  # of datasets/calibrated/cancers.yaml, or [all]
    patients: int = 6000  # sites..10^8; total of all centres
    sites: int = 4  # >= 1
    sizes: list[float] = field(default_factory=list)  # > 0, relative; empty = log-normal, drawn with the centres
    het: float = 0.7  # 0..1.5; how much centres differ: 0 not at all, 1 as in centres.yaml
    tau: float = 0.3  # 0..2; sd of a centre's shift of the effects of treatment, score and treatment x marker
    consortium: int = 0  # >= 0; which draw of centres
    randomised: bool = False  # treatment at random, probability 1/2, instead of by the practice of the centre
    mature_years: float = 0.0  # 0..20; from the last entry to the end of the data; mortality_5y takes 5
    years: int = 0  # 0, or 3..40 years that every centre's patients come from; 0 = each centre's own accrual
    rare_boost: float = 1.0  # 1..20; factor on the number of rare cancers at a referral centre
    discovery: int = 0  # 0, or 20..4000 features like gene expression; ten of them act in each cancer
    marker_gaps: bool = False  # markers have gaps too, and some centres lack all biomarkers; they are then float
    hard: list[Hard] = field(default_factory=list)  # time_varying, site_effects, stage_effects, stage_migration

    def __post_init__(self) -> None:
        known = [*published.cancers(), "all"]
        for at, name in enumerate(self.cancers):
            one_of(f"cohort.cancers[{at}]", name, known)
        repeated = len(set(self.cancers)) < len(self.cancers)
        if not self.cancers or repeated or ("all" in self.cancers and len(self.cancers) > 1):
            raise Refused(f"cohort.cancers={self.cancers}: name at least one cancer, each once, or only [all].")
        within("cohort.sites", self.sites, 1)
        if self.patients > MOST_PATIENTS:
            within("cohort.patients", self.patients, self.sites, MOST_PATIENTS)
        if self.patients < self.sites:
            raise Refused(
                f"cohort.patients={self.patients}: allowed >= cohort.sites={self.sites}, one patient per centre. "
                "Raise cohort.patients or lower cohort.sites."
            )
        if self.sizes and len(self.sizes) != self.sites:
            raise Refused(
                f"cohort.sizes={self.sizes}: {len(self.sizes)} sizes for cohort.sites={self.sites}. "
                "Give one relative size per centre, or none to draw them."
            )
        for at, size in enumerate(self.sizes):
            within(f"cohort.sizes[{at}]", size, 0, open_low=True)
        within("cohort.het", self.het, 0, 1.5)
        within("cohort.tau", self.tau, 0, 2)
        within("cohort.consortium", self.consortium, 0)
        within("cohort.mature_years", self.mature_years, 0, 20)
        if self.years:
            within("cohort.years", self.years, 3, 40)
        within("cohort.rare_boost", self.rare_boost, 1, 20)
        if self.discovery:
            within("cohort.discovery", self.discovery, 20, 4000)
        if self.patients * self.discovery > MOST_VALUES:
            raise Refused(
                f"cohort.patients={self.patients} and cohort.discovery={self.discovery} make "
                f"{self.patients * self.discovery:,} values: allowed {MOST_VALUES:,} (1 GiB). Lower one of them."
            )

    def fingerprint(self, seed: int) -> str:
        """Contents of the tables of published numbers."""
        return fingerprint({name: published.path(name) for name in published.TABLES})

    def knows_truth(self, kind: Kind) -> bool:
        """Of every outcome that has one number as its best score."""
        return kind is not Categorical

    def load(self, seed: int) -> Cohort:
        """Patients of this consortium; `table.observed` and `table.truth` list the columns.

        The truth of "survival" is the log cumulative hazard of death from any cause at 5 years, of "survival_cancer"
        that of death from the cancer, of "mortality_5y" the probability of death by then. The latter is that of all
        patients, not only of those whose outcome is known, who are dead more often.
        """
        names = tuple(published.cancers()) if self.cancers == ["all"] else tuple(self.cancers)
        law = published.law(names)
        hard, effects = frozenset(self.hard), genes.effects(self.discovery, names)
        world = World(law, hard, effects, self.randomised, self.mature_years, self.marker_gaps)
        boosts, volume = referral_factors(self.consortium, self.sites, self.rare_boost, law)
        weights = relative_sizes(self.consortium, self.sites, self.het) * volume
        sizes = apportion(self.patients, np.array(self.sizes) if self.sizes else weights)
        every = centres(self.consortium, self.sites, self.het, self.tau, names, hard, len(genes.panels(self.discovery)))
        every = replace(every, case_mix=every.case_mix + np.log(boosts))
        if self.years:
            every = replace(every, cutoff_years=np.full(self.sites, float(self.years)))
        levels = {"cancer": names, "race": RACES, "insurance": INSURANCES, "stage": STAGES, "cause": CAUSES}
        table, hidden, expression = draw_table(world, every, sizes, seed)
        sites = pd.Index([f"centre-{number + 1}" for number in range(self.sites)])
        seen = to_frame(table, levels)
        seen.insert(1, "site", pd.Series(sites.take(np.repeat(np.arange(self.sites), sizes))))
        whole, outcomes = add_outcomes(seen, law, self.mature_years)
        named = genes.names(self.discovery)
        if named:
            whole = pd.concat([whole, pd.DataFrame(expression, columns=named, copy=False)], axis=1)
        return Cohort(
            name="calibrated",
            table=whole,
            outcomes=outcomes,
            predictors={name: predictors(law, name, named) for name in outcomes},
            truth=to_frame(hidden, levels),
            notes=self.notes(world, seed),
            unlearnable=unlearnable(law, outcomes),
            derived=derived_columns,
            effects=truths.effects(world),
        )

    def notes(self, world: World, seed: int) -> dict[str, str]:
        """Settings, seed, and truths that are not per patient."""
        settings = {entry.name: as_setting(getattr(self, entry.name)) for entry in fields(self)}
        made = {
            "source": "synthetic patients, calibrated to datasets/calibrated; no real person",
            "settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
            "seed": str(seed),
        }
        if self.discovery:
            made["true_features"] = truths.true_features(world)
        if self.years:
            made["annual_percent_change"] = truths.annual_changes(world.law)
        return made


def as_setting(value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, list):
        return f"[{','.join(map(as_setting, value))}]"
    return str(value.value if isinstance(value, Enum) else value)
