"""Rows of the two tables of a study, with the meaning of every column."""

from dataclasses import dataclass, fields

import pandas as pd


@dataclass(frozen=True)
class MethodRow:
    """One method in one scenario."""

    scenario: str
    method: str
    reference: str  # "" = federated | "local" | "pooled" | "oracle"
    metric: str  # key of METRICS
    mean: float  # over the sites where the metric is defined, then over seeds
    low: float  # 95 % interval of it, see sim.stats.intervals; NaN with fewer than three seeds
    high: float
    seeds: int  # runs that finished; only these enter means
    diverged: int  # runs that diverged
    asked: int  # runs that the study asks for; where `seeds` are fewer, some diverged, failed or are not there yet
    sites: int
    sites_defined: int  # fewest sites on which a finished run has the metric
    worst_site: str  # of the sites with enough test events to be judged, the one with the worst mean over seeds
    worst: float  # its mean
    gain: float  # mean over sites of the gain over each site's own local model; more is better
    gain_low: float  # 95 % interval of it, corrected for the choice of the best among the federated methods
    gain_high: float
    too_small: int  # sites with too few test events to be judged by themselves; in means, not in what follows
    compared: int  # sites with a gain
    gaining: int  # of them, mean gain over seeds above zero
    gaining_significantly: int  # of them, 95 % interval above zero
    losing: int
    losing_significantly: int
    target: float  # pooled - margin, mean over seeds; NaN without a pooled run
    mb_to_target: float  # all sites, both directions; median over the runs that reached it
    reached: int  # runs that reached their own seed's target and did not diverge
    mb_total: float  # of a whole run, all sites, both directions: what training needs
    mb_visit: float  # of one site in one round, both directions
    mb_control: float  # of a whole run: orders to train, beside mb_total
    mb_evaluation: float  # of a whole run: models to be scored and their metrics, beside mb_total
    epsilon_sites: float  # the largest of a run, for a whole site; NaN without noise at the server
    epsilon_records: float  # the largest of a run, for one record; NaN without noise at the sites
    backdoor: float  # success of attack=backdoor after the last round, over sites, then seeds; NaN without that attack
    published: float  # value of the metric in the literature; NaN if none
    published_se: float  # (mean - published) / standard error over seeds

    @property
    def runs(self) -> int:
        """Runs that finished or diverged."""
        return self.seeds + self.diverged

    @property
    def privacy(self) -> str:
        """Its epsilons in a few words, empty without noise."""
        known = ((self.epsilon_sites, "per site"), (self.epsilon_records, "per patient row"))
        return ", ".join(f"{value:.3g} {whose}" for value, whose in known if value == value)

    @property
    def rests_on(self) -> str:
        """Number of runs that the row is based on, out of those requested: `2 of 3`."""
        return f"{self.seeds} of {self.asked}"

    @property
    def fewer(self) -> str:
        """`, 2 of 3 runs` if the row is based on fewer than requested, otherwise empty."""
        return "" if self.seeds == self.asked else f", {self.rests_on} runs"


@dataclass(frozen=True)
class SiteRow:
    """One method at one site in one scenario."""

    scenario: str
    site: str
    kind: str  # "site" | "small" = too few test events to be judged by itself | "together" = all of these in one row
    rows: float  # of the site's test split, mean over seeds
    events: float  # of them, with the event
    method: str
    reference: str
    seeds: int  # finished seeds in which the site has the metric
    mean: float  # over those
    gain: float  # over the site's own local model, mean over `pairs`; more is better; NaN without local
    low: float  # 95 % interval of it
    high: float
    pairs: int  # seeds in which both the method and local have a value

    @property
    def judged(self) -> bool:
        """Whether the row can be judged individually."""
        return self.kind != "small"


def method_rows(frame: pd.DataFrame) -> list[MethodRow]:
    """Rows of `tables.summary`, typed."""
    names = [column.name for column in fields(MethodRow)]
    return [MethodRow(*row) for row in frame[names].itertuples(index=False, name=None)]


def site_rows(frame: pd.DataFrame) -> list[SiteRow]:
    """Rows of `tables.per_site`, typed."""
    names = [column.name for column in fields(SiteRow)]
    return [SiteRow(*row) for row in frame[names].itertuples(index=False, name=None)]
