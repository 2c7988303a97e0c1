"""The contract of what happens at the server: attacks on uploads, aggregators, server optimisers."""

import numpy as np
import torch

from sim.methods.aggregators.base import Aggregator
from sim.methods.attacks import Attack
from sim.methods.servers import Server
from sim.random import site_keys
from sim.verify.conformance.answers import Broken, asked, named, near, shaped
from sim.verify.conformance.samples import SERVER, M, P, lengths, normal, uploads


def of_attack(entry: type[Attack], dtype: torch.dtype) -> None:
    """Who attacks belongs to the site's key, and honest uploads pass as they are."""
    name, made = entry.__name__, entry()
    keys, sent = site_keys(tuple(f"site {at}" for at in range(M))), uploads(M, dtype)
    bad = asked(f"{name}.faulty", made.faulty, keys, 3)
    if bad.shape != (M,) or bad.dtype != bool:
        raise Broken(f"{name}.faulty must be bool [S].")
    if not np.array_equal(made.faulty(keys[::-1].copy(), 3), bad[::-1]):
        raise Broken(f"{name}.faulty depends on the order of the sites.")
    for marks in (torch.zeros(M, dtype=torch.bool), torch.arange(M) < 2):
        done = asked(f"{name}.tamper", made.tamper, sent, marks)
        named(f"{name}.tamper", done, {"delta": "P", "norm": ""}, lengths(M), dtype)
        if not all(torch.equal(part[~marks], sent[key][~marks]) for key, part in done.items()):
            raise Broken(f"{name}.tamper changes honest uploads.")


def of_aggregator(entry: type[Aggregator], dtype: torch.dtype) -> None:
    """One message of every part, whatever the order of the uploads."""
    name, made = entry.__name__, entry()
    for count in {max(made.least, 1), made.least + M}:
        sent, turned = uploads(count, dtype), torch.arange(count).flip(0)
        p = torch.arange(1.0, count + 1, dtype=torch.float64) / sum(range(count + 1))
        one = asked(f"{name}.combine", made.combine, sent, p)
        named(f"{name}.combine", one, {"delta": "P", "norm": ""}, {"P": (P,), "": ()}, dtype)
        other = made.combine({key: part[turned] for key, part in sent.items()}, p[turned])
        near(f"{name}.combine depends on the order of the uploads", other, one, dtype)


def of_server(entry: type[Server], dtype: torch.dtype) -> None:
    """Steps of the server's model."""
    name, made, x, step = entry.__name__, entry(), normal(1, P, dtype=dtype), normal(2, P, dtype=dtype)
    held = asked(f"{name}.start", made.start, x)
    declared = dict.fromkeys(held, "P")
    named(f"{name}.start", held, declared, SERVER, dtype)
    for _ in range(2):
        move, new = asked(f"{name}.update", made.update, step, held)
        shaped(f"{name}.update", move, (P,), dtype)
        named(f"state of {name}.update", new, declared, SERVER, dtype)
        held = new
