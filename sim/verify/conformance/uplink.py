"""The contract of a transform of the uplink: both halves, and the size that it announces."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sim.methods.contract import Heard, Local, Message, State
from sim.methods.uplink.base import Transform, Wire
from sim.verify.conformance.answers import Broken, asked, declares, named, near, shaped
from sim.verify.conformance.samples import SERVER, C, Drawn, M, P, lengths, local, normal, state


def of_uplink(entry: type[Transform], dtype: torch.dtype) -> None:
    """Both halves of a transform, and the size that it announces."""
    name, made, at, u = entry.__name__, entry(), local(entry, dtype), normal(5, C, P, dtype=dtype)
    declares(entry, {"site_state": entry.site_state, "server_state": entry.server_state}, entry.broadcast)

    def encode(sites: int) -> tuple[Tensor, State, Message]:
        def call(u: Tensor, at: Local) -> tuple[Tensor, State, Message]:
            made_of = made.encode(u, at, Drawn(sites, dtype))
            return made_of.vector, made_of.state, made_of.scalars

        return asked(f"{name}.encode", call, u[:sites], at.only(0, sites))

    vector, kept, scalars = encode(C)
    shaped(f"vector of {name}.encode", vector, (C, P), dtype)
    named(f"state of {name}.encode", kept, entry.site_state, lengths(C), dtype)
    named(f"scalars of {name}.encode", scalars, dict.fromkeys(entry.sends, ""), lengths(C), dtype)
    fewer = vector[:2], {key: part[:2] for key, part in kept.items()}, {key: part[:2] for key, part in scalars.items()}
    near(f"{name}.encode of a site depends on the others", encode(2), fewer, dtype)
    asked(f"{name}.encode", lambda u, at: made.encode(u, at, Drawn(C, dtype)), u[:, :0], bare(at))
    size = asked(f"{name}.wire", made.wire, Wire(P, 8 * vector.element_size()))
    most = int(vector.count_nonzero(dim=1).max())
    if not 0 <= size.values <= P or size.bits < 0 or size.index_bits < 0 or size.extra_bytes < 0:
        raise Broken(f"{name}.wire announces {size} for {P} values.")
    if size.values < most:
        raise Broken(f"{name}.wire announces {size.values} values, and {most} are sent.")
    asked(f"{name}.wire", made.wire, Wire(0, 32))
    arrived = Heard(normal(1, P, dtype=dtype), {}, {}, np.arange(M), torch.full((M,), 1 / M), 1.0)
    mean = vector.mean(0)

    def one(name: str) -> Tensor:
        return Drawn(1, dtype)(name)[0]

    back = asked(f"{name}.decode", lambda mean, heard: made.decode(mean, heard, one), mean, arrived)
    shaped(f"{name}.decode", back, (P,), dtype)
    held = state(entry.server_state, SERVER, dtype)
    sent = {word: normal(6, M, dtype=dtype) for word in entry.sends}
    named(f"{name}.learn", asked(f"{name}.learn", made.learn, sent, held), entry.server_state, SERVER, dtype)


def bare(at: Local) -> Local:
    """The sites with a network of which nothing travels."""
    site = {name: part[:, :0] if part.dim() == 2 else part for name, part in at.site.items()}
    server = {name: part[:0] if part.dim() == 1 else part for name, part in at.server.items()}
    return replace(at, x=at.x[:, :0], start=at.start[:, :0], site=site, server=server)
