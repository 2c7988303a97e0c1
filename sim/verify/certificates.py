"""The list of certificates: every entry of every axis, through the engine, against its theory."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sim.engine.exact import EXACT
from sim.engine.own_loops import OWN_LOOPS
from sim.methods.aggregators import AGGREGATORS
from sim.methods.algorithms import ALGORITHMS
from sim.methods.attacks import ATTACKS
from sim.methods.personal import PERSONAL
from sim.methods.servers import SERVERS
from sim.methods.systems import SYSTEMS
from sim.methods.uplink import UPLINK
from sim.verify import (
    aggregators,
    aggregators_bounded,
    aggregators_robust,
    algorithms,
    algorithms_drift,
    algorithms_labels,
    algorithms_memory,
    algorithms_mime,
    algorithms_personal,
    algorithms_steps,
    attacks,
    attacks_backdoor,
    attacks_collusion,
    exact_list,
    fairness,
    groups,
    loops,
    personal,
    personal_heads,
    personal_norms,
    personal_own,
    servers,
    systems,
    systems_order,
    uplink,
    uplink_coded,
    uplink_factors,
    uplink_private,
)
from sim.verify.check import Certificate, Check, certify

Checks = Mapping[str, Callable[[], Iterator[Check[Any]]]]

TABLES: dict[str, Mapping[str, type]] = {
    "algorithm": {**ALGORITHMS, **OWN_LOOPS, **EXACT},
    "uplink": UPLINK,
    "attack": ATTACKS,
    "aggregator": AGGREGATORS,
    "server": SERVERS,
    "personal": PERSONAL,
    "system": SYSTEMS,
}
CHECKS: dict[str, Checks] = {
    "algorithm": {
        **algorithms.CHECKS,
        **algorithms_steps.CHECKS,
        **algorithms_labels.CHECKS,
        **algorithms_mime.CHECKS,
        **algorithms_drift.CHECKS,
        **fairness.CHECKS,
        **groups.CHECKS,
        **systems.LOOPS,
        **algorithms_memory.CHECKS,
        **algorithms_personal.CHECKS,
        **loops.CHECKS,
        **exact_list.CHECKS,
    },
    "uplink": {**uplink.CHECKS, **uplink_coded.CHECKS, **uplink_factors.CHECKS, **uplink_private.CHECKS},
    "attack": {**attacks.CHECKS, **attacks_backdoor.CHECKS, **attacks_collusion.CHECKS},
    "aggregator": {**aggregators.CHECKS, **aggregators_robust.CHECKS, **aggregators_bounded.CHECKS},
    "server": servers.CHECKS,
    "personal": {**personal.CHECKS, **personal_heads.CHECKS, **personal_own.CHECKS, **personal_norms.CHECKS},
    "system": {**systems.CHECKS, **systems_order.CHECKS},
}


def certificates(
    tables: Mapping[str, Mapping[str, type]] = TABLES, only: str = "", proofs: Mapping[str, Checks] = CHECKS
) -> Iterator[Certificate]:
    """Certificates of every entry of some axes' tables, one by one as they are found; some 40 s of CPU for all.

    A class that is wrong fails at least one of its own. So does one whose run diverges, raises or is not a number, and
    one that nobody has proved anything about. only: the name of one entry; empty = all. proofs: by axis and name.
    """
    for axis, table in tables.items():
        for name, entry in table.items():
            if only in ("", name):
                checks = proofs[axis][name]() if name in proofs[axis] else ()
                yield from certify(axis, name, entry, checks)


def properties(axis: str, name: str, proofs: Mapping[str, Checks] = CHECKS) -> Iterator[str]:
    """The certificates of one entry as text; nothing is computed."""
    for check in proofs.get(axis, {}).get(name, lambda: iter(()))():
        yield check.property
