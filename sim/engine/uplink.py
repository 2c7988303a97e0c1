"""Both halves of the uplink: encoding of messages at the sites, and decoding of the aggregate at the server."""

from dataclasses import dataclass, replace

import numpy as np

from sim.arrays import Words
from sim.engine.messages import Arrays
from sim.lazy import Tensor, torch
from sim.local.rows import view
from sim.methods.contract import Draw, Heard, Local, Message, State
from sim.methods.roles import Roles, below
from sim.methods.uplink.base import Arrived
from sim.random import counted, key, scatter, uniform


@dataclass(frozen=True)
class Draws:
    """Uniform numbers of a round, determined by name, site and coordinate."""

    seed: int
    round: int
    keys: Words  # [C] of the sites; a single 0 at the server

    def of(self, prefix: str, like: Tensor) -> Draw:
        """The draws of one transform and vector, in the shape [C, P] of `like`."""
        place = np.arange(like.shape[1], dtype=np.int64)

        def draw(name: str, round: int | None = None) -> Tensor:
            word = scatter(key(self.seed, prefix + name, self.round if round is None else round), self.keys)
            return torch.from_numpy(uniform(counted(word[:, None], place[None]))).to(like.dtype)

        return draw

    def server(self, prefix: str, like: Tensor) -> Draw:
        """The draws of a transform's server half, in the shape of `like`, [P] or []."""
        draw = self.of(prefix + "server.", like.reshape(1, -1))
        return lambda name, round=None: draw(name, round).reshape(like.shape)


def encoded(roles: Roles, private: Tensor, message: Message, at: Local, draws: Draws) -> tuple[Message, State]:
    """The encoded message of C sites without private parameters, and the new state of the uplink there."""
    shared = ~private
    sent, state = dict(message), State()
    for vector in roles.vectors:
        u = message[vector] if shared.all() else message[vector][:, shared]
        for prefix, transform in roles.encoders(vector):
            mine = replace(at, site=below(at.site, prefix), server=below(at.server, prefix))
            made = transform.encode(u, mine, draws.of(prefix, u))
            u = made.vector
            state |= {prefix + name: part for name, part in made.state.items()}
            sent |= {prefix + name: part for name, part in made.scalars.items()}
        sent[vector] = u
    return sent, state


def decoded(roles: Roles, private: Tensor, heard: Heard, state: State, draws: Draws) -> tuple[Heard, State]:
    """Aggregates decoded in reverse order, zero for private parameters, and the uplink's new state at the server."""
    mean, kept = dict(heard.mean), State()
    for vector in roles.vectors:
        encoders = list(roles.encoders(vector))
        reach = roles.reach(vector, len(mean[vector]), state)
        for prefix, transform in reversed(encoders):
            at = Arrived(heard, below(state, prefix), reach)
            mean[vector] = transform.decode(mean[vector], at, draws.server(prefix, mean[vector]))
            learned = transform.learn(below(heard.each, prefix), at.state, draws.server(prefix, torch.zeros(())))
            kept |= {prefix + name: part for name, part in learned.items()}
        if private.any():
            whole = torch.zeros(len(private), dtype=mean[vector].dtype)
            mean[vector] = whole.masked_scatter(~private, mean[vector])
    return replace(heard, mean=mean), kept


def lowered(roles: Roles, private: Tensor, step: Tensor, state: State, draws: Draws) -> tuple[Tensor, State]:
    """The server's step [P] as it is sent down, and the state of its compression; private parameters have none."""
    kept = State()
    for prefix, transform in roles.encoders(roles.vectors[0]):
        if transform.lowers:
            shared = step[~private]
            sent, new = transform.down(shared, below(state, prefix), draws.server(prefix, shared))
            step = torch.zeros_like(step).masked_scatter(~private, sent)
            kept |= {prefix + name: part for name, part in new.items()}
    return step, kept


def squeezed(kept: Arrays, roles: Roles) -> State:
    """The sites' state as tensors: [C] for a single number per site, otherwise [C, n]."""
    numbers = roles.site_numbers
    return {name: view(part)[:, 0] if name in numbers else view(part) for name, part in kept.items()}
