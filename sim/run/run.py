"""One run from settings to records: cohort, partition, federation, task, training, judgement."""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from sim.cohort.outcomes import SPLITS
from sim.cohort.table import Cohort
from sim.config.experiment import Experiment, Json, classes, identity, settings
from sim.engine.attackers import attackers
from sim.engine.evaluation import Held
from sim.engine.executors import crew, unnamed
from sim.engine.loops import OwnLoop
from sim.engine.references import Oracle, Pooled
from sim.engine.rounds import rounds
from sim.engine.scoring import mean_loss, of_valid
from sim.engine.simulation import SCORED, Diverged, KeepPredictions, Round, Simulation
from sim.engine.stopping import until_stale
from sim.federation.federation import Federation, build
from sim.federation.split import Leak
from sim.federation.standardise import Scaling
from sim.local.settings import Optimizer
from sim.local.steady import refuse_unsteady
from sim.partition.base import digest as partition_digest
from sim.profiling import stage
from sim.progress import Watch
from sim.records import environment, provenance
from sim.records.store import Run
from sim.run.estimates import in_recorded_units
from sim.run.model import Kept, bare, described
from sim.run.predictions import predictions
from sim.run.prepare import gather
from sim.run.privacy import spent
from sim.run.tables import rounds_frame, sites_frame
from sim.run.told import threads, told
from sim.run.uploads import uploads
from sim.tasks.task import Task

FAR = 1000  # a validation loss so many times that of round 0 (or 1 nat, if that is more) is a model that diverged

# Settings that a prepared federation depends on.
DATA = ("cohort", "partition", "shift", "split", "task", "net", "seed")


@dataclass(frozen=True)
class Prepared:
    """What methods are compared on."""

    cohort: Cohort
    outcome: str
    sites: NDArray[np.str_]
    federation: Federation
    task: Task
    leak: Leak | None  # None where nobody is known at two sites


def footing(experiment: Experiment) -> str:
    """The settings, classes and files that say which patients stand where: runs that share them share a federation."""
    parts = {name: getattr(experiment, name) for name in DATA} | {"groups": experiment.evaluation.groups}
    kinds = sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in classes(parts))
    return json.dumps([settings(parts), kinds, experiment.cohort.fingerprint(experiment.seed)], sort_keys=True)


def prepare(experiment: Experiment) -> Prepared:
    """Cohort, partition, federation and task of an experiment; runs of one footing can share them."""
    dealt, sides = gather(experiment)
    cohort, outcome, groups = dealt.cohort, dealt.outcome, experiment.evaluation.groups
    with stage("federation"):
        federation = build(cohort, outcome, sides, experiment.split.scaling, groups)
    with stage("task"):
        task = experiment.task.build(experiment.net, federation)
    leak = sides.leak if experiment.partition.overlap else None
    return Prepared(cohort, outcome, dealt.sites, federation, task, leak)


def run_id(experiment: Experiment) -> str:
    """Name of a run: what was asked, of which files, by which code. Loads no patients."""
    what = {
        "settings": identity(experiment),
        "files": experiment.cohort.fingerprint(experiment.seed),
        "code": provenance.code(classes(experiment)),
    }
    return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=6).hexdigest()


def simulation(experiment: Experiment, prepared: Prepared) -> Simulation:
    """The engine's view of an experiment. Refuses a learning rate that features without scaling do not bear."""
    method, unscaled = experiment.algorithm, experiment.split.scaling is Scaling.none
    by_lr = method.trains and not isinstance(method, Pooled | Oracle) and experiment.local.optimizer is Optimizer.sgd
    if unscaled and by_lr:
        refuse_unsteady(prepared.task, prepared.federation, experiment.local.lr)
    return Simulation(
        federation=prepared.federation,
        task=prepared.task,
        roles=experiment.roles,
        training=experiment.local if experiment.algorithm.trains else replace(experiment.local, batch=0),
        evaluation=experiment.evaluation,
        rounds=experiment.rounds,
        seed=experiment.seed,
    )


def rehearse(experiment: Experiment, prepared: Prepared | None = None, watch: Watch = lambda number: None) -> Run:
    """Run an experiment, on what was prepared for its footing; a diverged run is one too, with the round it did so."""
    run = run_id(experiment)
    prepared = prepared or prepare(experiment)
    with stage("cohort"):
        data = prepared.cohort.digest  # computed now, before the clock starts
    started = datetime.now(UTC).isoformat(timespec="seconds")
    status, done, judged, kept = "done", [], [], Kept()
    losses: dict[int, float] = {}  # of every round, NaN where models were not scored
    estimates: Json | None = None
    plan, method = simulation(experiment, prepared), experiment.algorithm
    privacy = spent(experiment, plan)
    with crew(experiment.executor, plan.job) as opened:
        began = time.perf_counter()  # compiling and starting processes is over
        if isinstance(method, OwnLoop):
            going = until_stale(method.rounds(plan, opened), experiment.evaluation.stop if method.exchanges else 0)
        else:
            going = rounds(plan, opened, plan.standing())
        try:
            for here in going:
                judged += [(here.number, model, metrics) for model, metrics in here.metrics.items()]
                losses[here.number] = validation_loss(here, prepared.federation)
                kept = kept.after(here)
                if here.estimates is not None:
                    estimates = in_recorded_units(here.estimates, prepared.federation, prepared.task.ratio)
                if method.exchanges:
                    done.append(bare(here))
                watch(here.number)
            refuse_far(losses)
        except Diverged as error:
            status, kept = str(error), Kept()
    events = prepared.task.events(prepared.federation.y)
    info = {
        "run": run,
        "status": status,
        "settings": identity(experiment),
        "scenario": experiment.scenario,
        "outcome": prepared.outcome,
        "features": list(prepared.federation.features),
        "parameters": prepared.task.layout.size if kept.scores is None else 0,
        "convex": prepared.task.convex,
        "tier": {"is": plan.choice.tier.value, "why": plan.choice.why},
        "roles": told(plan),
        "uploads": uploads(
            done, prepared.federation.sites, attackers(plan.roles.attack, prepared.federation, plan.seed).tolist()
        ),
        "stopped": stopped(done, plan, kept) if status == "done" else None,
        "privacy": privacy,
        "deploys": judged[-1][1] if judged else "",
        "estimates": estimates,
        "data": data,
        "patients": "fresh" if experiment.cohort.draws else "fixed",
        "split": "fixed" if prepared.cohort.split or experiment.split.time else "drawn",
        "partition": partition_digest(prepared.cohort, prepared.sites),
        "notes": dict(prepared.cohort.notes),
        "overlap": prepared.leak and prepared.leak._asdict(),
        "sites": holdings(prepared.federation, events),
        "code": provenance.code(classes(experiment)),
        "config": environment.fingerprint([json.dumps(identity(experiment), sort_keys=True).encode()]),
        **environment.facts(),
        "executor": settings(unnamed(experiment.executor)),
        "threads": threads(experiment.executor),
        "started": started,
        "wall_seconds": round(time.perf_counter() - began, 3),
    }
    held = Held.of(prepared.federation, SCORED)
    frame = sites_frame(run, prepared.federation, held, events, judged)
    model = described(experiment, prepared.federation, prepared.task, prepared.outcome, kept, run)
    scores = None
    if experiment.evaluation.predictions is KeepPredictions.last and status == "done":
        last = kept.final
        models, mixture = (last.vector, last.mixture) if last else (None, None)
        scores = predictions(prepared.task, prepared.federation, held, models, mixture, kept.scores)
    return Run(run, rounds_frame(run, done), frame, info, model, scores)


def validation_loss(here: Round, federation: Federation) -> float:
    """Mean over validation rows; NaN for a round that was not scored, and for the oracle, which has none."""
    last = list(here.metrics.values())[-1:]
    if not math.isnan(here.loss) or not last or "loss" not in last[0]:
        return here.loss
    return mean_loss(of_valid(last[0]["loss"]), federation.rows_of("valid"))


def refuse_far(losses: Mapping[int, float]) -> None:
    """Raise Diverged where the last validation loss is far above the first; round -> loss.

    Chance is about one nat for every task (log 2 for two classes), and a start from random weights may be worse.
    """
    number, last = max(losses.items(), default=(0, math.nan))
    first = losses.get(0, math.nan)
    if last > FAR * max(1.0, 0.0 if math.isnan(first) else first):
        start = "" if math.isnan(first) else f" after a start of {first:.3g}"
        raise Diverged(number, f"the validation loss ends at {last:.3g}{start}; lower local.lr or server.lr")


def stopped(done: Sequence[Round], plan: Simulation, kept: Kept) -> Json | None:
    """After which round patience was over, and the round of the lowest validation loss; None for a whole training."""
    if not done or done[-1].number == plan.rounds:
        return None
    best = kept.best.round if kept.best else 0
    return {"round": done[-1].number, "best": best, "patience": plan.evaluation.stop}


def holdings(federation: Federation, events: NDArray[np.bool_]) -> Json:
    """Rows and events of every site and split."""
    rows = np.diff(federation.bounds, axis=1).tolist()  # [S][3]
    had = np.diff(np.concatenate([[0], np.cumsum(events)])[federation.bounds], axis=1).tolist()
    return {
        site: {split: {"rows": n, "events": k} for split, n, k in zip(SPLITS, *counts, strict=True)}
        for site, *counts in zip(federation.sites, rows, had, strict=True)
    }
