"""What an aggregator did with the uploads of each site over all rounds, for the record of a run."""

from collections.abc import Sequence

from sim.config.experiment import Json
from sim.engine.simulation import Round


def uploads(rounds: Sequence[Round], sites: Sequence[str], attackers: Sequence[int]) -> Json:
    """For every site that sent: uploads, how many were left out or counted in part, and whether the site attacks.

    {} if the aggregator does not look at single uploads.
    """
    found: Json = {}
    for here in rounds:
        for site, used in here.used.items():
            mine = found.setdefault(sites[site], {"sent": 0, "left_out": 0, "in_part": 0, "attacks": site in attackers})
            mine["sent"] += 1
            mine["left_out"] += used == 0
            mine["in_part"] += 0 < used < 1
    return dict(sorted(found.items()))


def left_out(found: Json, most: int = 5) -> str:
    """A sentence on the honest sites that were left out most often; empty if there are none."""
    honest = {site: counts["left_out"] / counts["sent"] for site, counts in found.items() if not counts["attacks"]}
    out = sorted((-share, site) for site, share in honest.items() if share)
    if not out:
        return ""
    named = ", ".join(f"{site} {-share:.0%}" for share, site in out[:most])
    return f"Left out of {len(honest)} honest sites, share of their uploads: {named}{', ...' if out[most:] else ''}"
