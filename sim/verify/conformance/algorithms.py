"""The contract of an algorithm, hook by hook."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sim.local.stacked import Gradients
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Correction, Heard
from sim.tasks.task import Batch
from sim.verify.conformance.answers import Broken, asked, declares, named, near, shaped
from sim.verify.conformance.samples import SERVER, C, M, P, S, lengths, local, normal, of_site, state, task_for


def heard(role: Algorithm, dtype: torch.dtype) -> Heard:
    """An update of M uploads: their mean, their scalars, and whole uploads only where the class asks for them."""
    sent = state(role.sends, lengths(M), dtype)
    sent = {name: part if part.dim() == 2 else 1 + part.abs() for name, part in sent.items()}
    p = torch.full((M,), 1 / M, dtype=torch.float64)
    seen = {name: part for name, part in sent.items() if part.dim() == 1 or role.whole_uploads}
    mean = {name: part.mean(0) for name, part in sent.items()} | state(role.prelude, SERVER, dtype)
    return Heard(normal(1, P, dtype=dtype), mean, seen, np.arange(M), p, 0.5)


def of_algorithm(entry: type[Algorithm], dtype: torch.dtype) -> None:
    """All hooks of an algorithm; local work, message, weights, server."""
    parts = {"site_state": entry.site_state, "server_state": entry.server_state}
    parts |= {"sends": entry.sends, "prelude": entry.prelude}
    declares(entry, parts, entry.broadcast)
    name, made, at = entry.__name__, entry(), local(entry, dtype)
    begun = asked(f"{name}.begin", made.begin, at)
    if begun.dim() != 2 or begun.shape[1] < P:
        raise Broken(f"{name}.begin has shape {list(begun.shape)}: the model comes first, [C, P].")
    shaped(f"{name}.begin", begun, (C, begun.shape[1]), dtype)
    w = normal(2, *begun.shape, dtype=dtype)
    given = corrected(f"{name}.correction", asked(f"{name}.correction", made.correction, at), C, dtype)
    correction = given.anchored(at.x)

    def step_of(low: int, high: int) -> Tensor:
        def grad(v: Tensor, batch: int = 0) -> Tensor:
            if not 0 <= batch < entry.batches:
                raise ValueError(f"batch {batch} of {entry.batches}: set `batches`")
            if v.shape[1] != P:
                raise ValueError(f"a gradient is asked for at {v.shape[1]} numbers of a model of {P}")
            return 2 * v - batch

        some = w[low:high], at.only(low, high), correction.only(low, high)
        return asked(f"{name}.direction", lambda v, *rest: made.direction(grad, v, *rest), *some)

    d = step_of(0, C)
    shaped(f"{name}.direction", d, tuple(begun.shape), dtype)
    for c in range(C):
        near(f"{name}.direction of a site depends on the others", step_of(c, c + 1), d[c : c + 1], dtype)
    if entry.objective is not Algorithm.objective:
        task, given_rows = task_for(made)
        y = {key: part.to(dtype) for key, part in given_rows.y.items()}
        y.setdefault("label", (normal(6, C, 4, dtype=dtype) > 0).to(dtype))
        y["group"] = (torch.arange(4 * C).view(C, 4) % 3 - 1).to(dtype)  # what a grouped algorithm sees beside them
        batch = Batch(given_rows.x.to(dtype), y, given_rows.valid)
        g = asked(f"{name}.objective", Gradients(task, made), w[:, :P], batch, at)
        shaped(f"gradient of {name}.objective", g, (C, P), dtype)
    early = asked(f"{name}.before", made.before, at)
    named(f"message of {name}.before", early, entry.prelude, lengths(C), dtype)
    for c in range(C):
        near(
            f"{name}.before of a site depends on the others",
            made.before(at.only(c, c + 1)),
            of_site(c, early)[0],
            dtype,
        )
    planned = np.arange(1, S + 1)
    steps = asked(f"{name}.steps", made.steps, planned, 3, 2)
    if steps.shape != (S,) or steps.dtype != planned.dtype or (steps < 1).any():
        raise Broken(f"{name}.steps must be whole numbers >= 1, one for each site.")
    if not np.array_equal(steps, made.steps(planned, 3, 2)):
        raise Broken(f"{name}.steps differs from one time to the next: draw by seed and round.")
    message, kept = asked(f"{name}.upload", made.upload, w, at)
    named(f"message of {name}.upload", message, entry.sends, lengths(C), dtype)
    named(f"state of {name}.upload", kept, entry.site_state, lengths(C), dtype)
    for c in range(C):
        alone = asked(f"{name}.upload", made.upload, w[c : c + 1], at.only(c, c + 1))
        near(f"{name}.upload of a site depends on the others", alone, of_site(c, message, kept), dtype)
    held = state(entry.server_state, SERVER, dtype)
    weights = asked(f"{name}.weights", made.weights, torch.arange(1.0, S + 1, dtype=torch.float64), held)
    shaped(f"{name}.weights", weights, (S,), torch.float64)
    if bool((weights < 0).any()):
        raise Broken(f"{name}.weights is negative.")
    if made.whole_uploads:
        factors = asked(f"{name}.weigh", made.weigh, replace(heard(made, dtype), mean={}), held)
        shaped(f"{name}.weigh", factors, (M,), torch.float64)
    step, new = asked(f"{name}.server", made.server, heard(made, dtype), held)
    shaped(f"step of {name}.server", step, (P,), dtype)
    named(f"state of {name}.server", new, entry.server_state, SERVER, dtype)
    shaped(f"{name}.deployed", asked(f"{name}.deployed", made.deployed, normal(5, P, dtype=dtype), held), (P,), dtype)


def corrected(what: str, given: object, sites: int, dtype: torch.dtype) -> Correction:
    """A correction in the shapes that every tier can carry out."""
    if not isinstance(given, Correction):
        raise Broken(f"{what} must be a `Correction`.")
    if isinstance(given.pull, Tensor):
        shaped(f"pull of {what}", given.pull, (sites,), dtype)
    for part in ("drift", "anchor"):
        if getattr(given, part) is not None:
            shaped(f"{part} of {what}", getattr(given, part), (sites, P), dtype)
    return given
