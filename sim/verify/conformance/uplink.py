"""The contract of a transform of the uplink: both halves, and the size that it announces."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sim.methods.contract import Heard, Local, Message, State
from sim.methods.uplink.base import Arrived, Encoded, Transform, Wire
from sim.verify.conformance.answers import Broken, asked, declares, named, near, shaped
from sim.verify.conformance.samples import SERVER, C, Drawn, M, P, lengths, local, normal, of_site, state


def of_uplink(entry: type[Transform], dtype: torch.dtype) -> None:
    """Both halves of a transform, and the size that it announces."""
    declares(entry, {"site_state": entry.site_state, "server_state": entry.server_state}, entry.broadcast)
    name, made, at, u = entry.__name__, entry(), local(entry, dtype), normal(5, C, P, dtype=dtype)

    def encode(low: int, high: int) -> Encoded:
        def call(u: Tensor, at: Local) -> Encoded:
            return made.encode(u, at, Drawn(low, high, dtype))

        return asked(f"{name}.encode", call, u[low:high], at.only(low, high))

    vector, kept, scalars = encode(0, C)
    shaped(f"vector of {name}.encode", vector, (C, P), dtype)
    named(f"state of {name}.encode", kept, entry.site_state, lengths(C), dtype)
    named(f"scalars of {name}.encode", scalars, dict.fromkeys(entry.sends, ""), lengths(C), dtype)
    for c in range(C):
        mine = [vector[c : c + 1], *of_site(c, kept, scalars)]
        near(f"{name}.encode of a site depends on the others", encode(c, c + 1), mine, dtype)
    asked(f"{name}.encode", lambda u, at: made.encode(u, at, Drawn(0, C, dtype, 0)), u[:, :0], bare(at))
    size = asked(f"{name}.wire", made.wire, Wire(P, 8 * vector.element_size()))
    most = int(vector.count_nonzero(dim=1).max())
    if not 0 <= size.values <= P or size.bits < 0 or size.index_bits < 0 or size.extra_bytes < 0:
        raise Broken(f"{name}.wire announces {size} for {P} values.")
    if size.values < most:
        raise Broken(f"{name}.wire announces {size.values} values, and {most} are sent.")
    asked(f"{name}.wire", made.wire, Wire(0, 32))
    arrived = Heard(normal(1, P, dtype=dtype), {}, {}, np.arange(M), torch.full((M,), 1 / M), 1.0)
    mean = vector.mean(0)

    def one(name: str, round: int | None = None) -> Tensor:
        return Drawn(0, 1, dtype)(name)[0]

    held = state(entry.server_state, SERVER, dtype)

    def decode(mean: Tensor, heard: Heard, held: State) -> Tensor:
        return made.decode(mean, Arrived(heard, held, 1.0), one)

    shaped(f"{name}.decode", asked(f"{name}.decode", decode, mean, arrived, held), (P,), dtype)
    sent = {word: normal(6, M, dtype=dtype) for word in entry.sends}

    def learn(sent: Message, held: State) -> State:
        return made.learn(sent, held, lambda name, round=None: one(name)[0])

    named(f"{name}.learn", asked(f"{name}.learn", learn, sent, held), entry.server_state, SERVER, dtype)
    reach, unit = made.reach(1.0, P, held), u / u.norm(dim=1, keepdim=True)
    known = replace(at, server={word: held[word] for word in entry.broadcast})
    if float(made.encode(unit, known, Drawn(0, C, dtype)).vector.norm(dim=1).max()) > reach * (1 + 1e-5):
        raise Broken(f"{name}.reach says {reach:g} for vectors of norm 1, and longer ones are sent.")


def bare(at: Local) -> Local:
    """The sites with a network of which nothing travels."""
    site = {name: part[:, :0] if part.dim() == 2 else part for name, part in at.site.items()}
    server = {name: part[:0] if part.dim() == 1 else part for name, part in at.server.items()}
    return replace(at, x=at.x[:, :0], start=at.start[:, :0], site=site, server=server)
