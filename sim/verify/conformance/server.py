"""The contract of what happens at the server: attacks on uploads, aggregators, server optimisers."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sim.methods.aggregators.base import Aggregator
from sim.methods.attacks import Attack
from sim.methods.servers import Server
from sim.random import site_keys
from sim.verify.conformance.answers import Broken, asked, named, near, shaped
from sim.verify.conformance.samples import SERVER, C, M, P, lengths, normal, state, uploads


@dataclass(frozen=True)
class Given:
    """The same numbers whatever the name of the draw."""

    numbers: Tensor

    def __call__(self, name: str, round: int | None = None) -> Tensor:
        """These."""
        return self.numbers


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
        keeps = {f"delta.{part}": shape for part, shape in entry.server_state.items()}
        held, drawn = state(keeps, SERVER, dtype), normal(3, count, 1, dtype=torch.float64)
        one = asked(f"{name}.aggregate", made.aggregate, sent, p, held, Given(drawn))
        named(f"{name}.aggregate", one.mean, {"delta": "P", "norm": ""}, {"P": (P,), "": ()}, dtype)
        named(f"state of {name}.aggregate", one.state or {}, keeps, SERVER, dtype)
        if one.used is not None:
            shaped(f"what {name}.aggregate used", one.used.double(), (count,), torch.float64)
            if bool(((one.used < 0) | (one.used > 1)).any()):
                raise Broken(f"{name}.aggregate uses shares of uploads outside 0 to 1.")
        turned_sent = {key: part[turned] for key, part in sent.items()}
        other = made.aggregate(turned_sent, p[turned], held, Given(drawn[turned]))
        near(f"{name}.aggregate depends on the order of the uploads", other.mean, one.mean, dtype)


def of_server(entry: type[Server], dtype: torch.dtype) -> None:
    """Steps of the server's model."""
    name, made, x, step = entry.__name__, entry(), normal(1, P, dtype=dtype), normal(2, P, dtype=dtype)
    reported = asked(f"{name}.report", made.report, normal(3, C, P, dtype=dtype))
    named(f"{name}.report", reported, dict.fromkeys(entry.sends, ""), lengths(C), dtype)
    heard = {key: part.mean() for key, part in reported.items()}
    shaped(f"{name}.scaled", asked(f"{name}.scaled", made.scaled, step, heard), (P,), dtype)
    held = asked(f"{name}.start", made.start, x)
    shaped(f"{name}.judged", asked(f"{name}.judged", made.judged, x, held), (P,), dtype)
    declared = dict.fromkeys(held, "P")
    named(f"{name}.start", held, declared, SERVER, dtype)
    for _ in range(2):
        move, new = asked(f"{name}.update", made.update, step, held)
        shaped(f"{name}.update", move, (P,), dtype)
        named(f"state of {name}.update", new, declared, SERVER, dtype)
        held = new
