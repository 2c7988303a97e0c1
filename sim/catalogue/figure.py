"""The figure of an entry: its path on a problem with a known solution, compared with FedAvg."""

from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure

from sim.catalogue.costs import with_entries
from sim.catalogue.entry import Entry
from sim.checks import Refused
from sim.engine.executors import InProcess, crew
from sim.engine.loops import OwnLoop, Reference
from sim.engine.rounds import rounds
from sim.engine.simulation import Diverged, Round
from sim.local.settings import Training
from sim.methods.attacks import SignFlip
from sim.methods.contract import OWN, Weighting
from sim.methods.roles import Roles
from sim.methods.uplink.clip import Clip
from sim.random import stream
from sim.report.style import COLOURS, GREY, WIDTH, readable
from sim.verify.quadratic import Array, Quadratic, two_sites
from sim.verify.trial import Trial

ROUNDS = 40
ALONG = ("algorithm", "server", "personal", "system")  # axes shown as the path of one parameter


def pair() -> Trial:
    """The two-site quadratic, ten full-batch steps of 0.02 at either site in a round."""
    return Trial(two_sites(), (10, 10), ROUNDS, Training(lr=0.02, batch=0, steps=10))


def twelve() -> Trial:
    """Twelve sites in ten dimensions, the same curvature everywhere, optima 0.5 apart."""
    centre = 0.5 * stream(0, "catalogue").standard_normal((12, 10))
    problem = Quadratic(np.tile(np.eye(10), (12, 1, 1)), centre, np.ones(12, np.int64))
    return Trial(problem, (5,) * 12, ROUNDS, Training(lr=0.05, batch=0, steps=5))


def draw(entry: Entry) -> Figure | None:
    """The entry's path; None for references, and for entries that refuse these quadratics or diverge on them."""
    if issubclass(entry.kind, Reference):
        return None
    along = entry.axis in ALONG
    trial = pair() if along else twelve()
    try:
        ours, beside = path(entry, trial)
    except (Refused, Diverged):
        return None
    return values(entry, trial, ours, beside) if along else distances(entry, trial, ours, beside)


def path(entry: Entry, trial: Trial) -> tuple[Array, Array]:
    """Models of rounds 0 to T with the entry, the server's or those that sites use, and with FedAvg; [T + 1, J, D]."""
    if issubclass(entry.kind, OwnLoop):
        method = entry.kind()
        method.fits(trial.plan(method.roles(Roles())))
        ours = together(trial.each(method, models))
        trial = replace(trial, first=tuple(float(part) for part in ours[0, 0]))
        return ours, trial.path(Roles())[:, None]
    roles = with_entries(entry)
    hostile = Roles(attack=roles.attack if entry.axis == "attack" else SignFlip(sites=1, scale=3.0))
    if entry.axis == "aggregator":
        return trial.path(replace(roles, attack=hostile.attack))[:, None], trial.path(hostile)[:, None]
    if any(one.noises for one in roles.uplink):
        trial, bound = replace(trial, weighting=Weighting.sites), Clip()
        noised = replace(roles, uplink=(bound, *roles.uplink))
        return trial.path(noised)[:, None], trial.path(Roles(uplink=(bound,)))[:, None]
    if roles.personal.on:
        return own(trial, roles), trial.path(Roles())[:, None]
    if entry.axis == "system":
        trial = replace(trial, system=roles.system)
        return trial.path(Roles())[:, None], pair().path(Roles())[:, None]
    return trial.path(roles)[:, None], trial.path(Roles())[:, None]


def models(here: Round) -> Array:
    """Models that sites use after a round, or mix; [J, D]."""
    some = here.model if here.deployed is None or here.mixture is not None else here.deployed()
    return np.atleast_2d(np.asarray(some, dtype=np.float64))


def together(rounds: list[Array]) -> Array:
    """One axis for all rounds, a round with one model repeating it; [T + 1, J, D]."""
    most = max(map(len, rounds))
    return np.stack([np.broadcast_to(some, (most, some.shape[1])) for some in rounds])


def own(trial: Trial, roles: Roles) -> Array:
    """Models that the sites keep, of rounds 0 to T; [T + 1, S, D]."""
    plan, sites = trial.plan(roles), np.arange(len(trial.steps))
    with crew(InProcess(), plan.job) as opened:
        going = rounds(plan, opened, plan.standing(torch.from_numpy(trial.start)))
        return np.stack([opened.memory.read(sites, names=[OWN])[OWN] for _ in going])


def values(entry: Entry, trial: Trial, ours: Array, beside: Array) -> Figure:
    """The model by round, with the optima of both sites and of all patients."""
    with readable():
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        axes = figure.subplots()
        for level, words in zip((*trial.problem.centre[:, 0], trial.optimum()[0]), WORDS, strict=True):
            axes.axhline(level, color=GREY, linewidth=0.7, linestyle=(0, (2, 3)))
            axes.annotate(words, (1.01, level), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        axes.plot(beside[:, 0, 0], color=GREY, linewidth=1.4, label="FedAvg")
        several = ours.shape[1] > 1
        for at in range(ours.shape[1]):
            label = f"{entry.name}, model {at + 1}" if several else entry.name
            axes.plot(ours[:, at, 0], color=COLOURS[at % 2], linewidth=1.8, label=label)
        axes.set(xlabel="round", ylabel="model", xlim=(0, ROUNDS))
        axes.legend(frameon=False, loc="center right")
    return figure


def distances(entry: Entry, trial: Trial, ours: Array, beside: Array) -> Figure:
    """Distance to the pooled optimum by round."""
    words = {"aggregator": "mean, one of 12 sites flips signs", "attack": "nobody attacks", "uplink": "without it"}
    with readable():
        figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(away(trial, beside), color=GREY, linewidth=1.4, label=f"FedAvg, {words[entry.axis]}")
        axes.plot(away(trial, ours), color=COLOURS[0], linewidth=1.8, label=entry.name)
        axes.set(xlabel="round", ylabel="distance to the optimum", xlim=(0, ROUNDS), yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.legend(frameon=False)
    return figure


def away(trial: Trial, path: Array) -> Array:
    """Distance of every round's model from the pooled optimum; [T + 1, 1, D] -> [T + 1]."""
    return np.asarray(np.linalg.norm(path[:, 0] - trial.optimum(), axis=1))


WORDS = ("optimum of site 1", "optimum of site 2", "optimum of both")
