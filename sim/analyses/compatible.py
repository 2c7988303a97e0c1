"""Settings that an analysis would ignore, or that would mislead it, are refused before any data are read."""

import re
from collections.abc import Sequence

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.partition import PARTITIONS
from sim.partition.label import Dirichlet, InnerDirichlet
from sim.partition.pathological import Pathological, Shards

ALLOWED = ("cohort", "partition", "shift", "scenario", "task", "seed")  # settings that an analysis depends on


def refuse_incompatible(wanted: Experiment, overrides: Sequence[str], seeds: int, within_sites: bool) -> None:
    """Refuse settings of training, a seed beside --seeds, external sites, and sites that depend on the outcome.

    The last only with `within_sites`: where chances are averaged under a model with one intercept per site.
    """
    for override in overrides:
        group = re.split(r"[.=@]", override.lstrip("+~"), maxsplit=1)[0]
        if group not in ALLOWED:
            raise Refused(
                f"{override}: an analysis trains no model and runs in one process, so this setting has no effect; "
                f"allowed are settings of {', '.join(ALLOWED)}. Leave it out."
            )
        if group == "seed" and seeds:
            raise Refused(
                f"{override} and --seeds {seeds}, which runs seeds 0 to {seeds - 1}: give only one of the two."
            )
    partition = wanted.partition
    external = partition.external
    if external.count or external.sites:
        raise Refused(
            f"partition.external.count={external.count}, sites={external.sites}: an analysis uses all sites and has no "
            "external ones; allowed 0 and []. Leave it out."
        )
    dealt = isinstance(partition, Dirichlet | InnerDirichlet | Pathological | Shards) and not partition.by
    if within_sites and dealt:
        name = next(name for name, kind in PARTITIONS.items() if kind is type(partition))
        raise Refused(
            f"partition={name}: it assigns patients by their outcome, so comparing patients within a site hides the "
            "effect of the treatment. Use natural, iid, quantity or affinity, or name another column, such as "
            "partition.by=race."
        )
