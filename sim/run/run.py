"""One run from settings to records: cohort, partition, federation, task, training, evaluation."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.cohort.outcomes import SPLITS
from sim.cohort.table import Cohort
from sim.config.experiment import Experiment, Json, classes, identity, settings
from sim.engine.attackers import attackers
from sim.engine.evaluation import Held
from sim.engine.executors import Crew, crew, unnamed
from sim.engine.loops import OwnLoop
from sim.engine.references import Oracle, Pooled
from sim.engine.rounds import rounds, rounds_after
from sim.engine.simulation import SCORED, Diverged, KeepPredictions, Round, Saved, Simulation
from sim.engine.stopping import Patience, until_stale
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
from sim.run.checkpointing import Work, begun
from sim.run.estimates import in_recorded_units
from sim.run.ledger import refuse_far
from sim.run.model import Kept, described
from sim.run.predictions import predictions
from sim.run.prepare import gather
from sim.run.privacy import spent
from sim.run.tables import rounds_frame, sites_frame
from sim.run.told import threads, told
from sim.run.uploads import uploads
from sim.tasks.task import Task

# Settings that a prepared federation depends on.
DATA = ("cohort", "partition", "shift", "split", "task", "net", "seed")


@dataclass(frozen=True)
class Prepared:
    """The federation and task on which methods are compared."""

    cohort: Cohort
    outcome: str
    sites: NDArray[np.str_]
    federation: Federation
    task: Task
    leak: Leak | None  # None if no patient is known at two sites


def footing(experiment: Experiment) -> str:
    """The settings, classes and files that determine the federation: runs with equal ones share a federation."""
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
    """Name of a run: a fingerprint of its settings, files and code. Loads no patients."""
    what = {
        "settings": identity(experiment),
        "files": experiment.cohort.fingerprint(experiment.seed),
        "code": provenance.code(classes(experiment)),
    }
    return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=6).hexdigest()


def simulation(experiment: Experiment, prepared: Prepared) -> Simulation:
    """The engine's view of an experiment. Refuses a learning rate that is too large for unscaled features."""
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


def rehearse(
    experiment: Experiment,
    prepared: Prepared | None = None,
    watch: Watch = lambda number: None,
    home: Path | None = None,
) -> Run:
    """Run an experiment on prepared data; a diverged run is a result too, with the round in which it diverged.

    With a working folder `home`, it writes checkpoints there and continues from the last valid one; a signal then
    raises Stopped after a last checkpoint.
    """
    run = run_id(experiment)
    prepared = prepared or prepare(experiment)
    with stage("cohort"):
        data = prepared.cohort.digest  # computed now, before the clock starts
    started = datetime.now(UTC).isoformat(timespec="seconds")
    status, plan, method = "done", simulation(experiment, prepared), experiment.algorithm
    privacy = spent(experiment, plan)
    with crew(experiment.executor, plan.job) as opened:  # compiling and starting processes is over
        attempt = begun(Work(home, run, experiment.rounds, experiment.results), started, opened.memory)
        ledger = attempt.ledger
        going = ahead(experiment, plan, opened, attempt.since)

        def note(here: Round) -> None:
            ledger.add(here, prepared.federation, method.exchanges)
            if here.estimates is not None:
                ledger.estimates = in_recorded_units(here.estimates, prepared.federation, prepared.task.ratio)
            watch(here.number)

        try:
            attempt.go(going, note, opened.memory)
            refuse_far(dict(ledger.losses))
        except Diverged as error:
            status, ledger.kept = str(error), Kept()
    done, judged, kept = ledger.rounds, ledger.judged, ledger.kept
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
        "estimates": ledger.estimates,
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
        "started": attempt.started,
        "wall_seconds": round(attempt.seconds, 3),
    }
    held = Held.of(prepared.federation, SCORED)
    frame = sites_frame(run, prepared.federation, held, events, judged)
    model = described(experiment, plan, prepared.outcome, kept, run)
    scores = None
    if experiment.evaluation.predictions is KeepPredictions.last and status == "done":
        scores = predictions(prepared.task, prepared.federation, held, kept)
    return Run(run, rounds_frame(run, done), frame, info, model, scores)


def ahead(experiment: Experiment, plan: Simulation, opened: Crew, since: Saved | None) -> Iterator[Round]:
    """The rounds of an experiment, from the start or after those that left `since`. Raises Diverged."""
    method = experiment.algorithm
    if not isinstance(method, OwnLoop):
        return rounds(plan, opened, plan.standing()) if since is None else rounds_after(plan, opened, since)
    limit = experiment.evaluation.stop if method.exchanges else 0
    if since is None:
        return until_stale(method.rounds(plan, opened), Patience(limit))
    return until_stale(method.rounds_after(plan, opened, since), Patience.since(limit, since.arrays))


def stopped(done: Sequence[Round], plan: Simulation, kept: Kept) -> Json | None:
    """After which round patience was over, and the round of the lowest validation loss; None for a whole training.

    Patience 0 is none: an analysis by sums was complete in fewer exchanges than there were rounds.
    """
    if not done or done[-1].number == plan.rounds:
        return None
    best = kept.best.round if kept.best else 0
    patience = 0 if done[-1].estimates is not None else plan.evaluation.stop
    return {"round": done[-1].number, "best": best, "patience": patience}


def holdings(federation: Federation, events: NDArray[np.bool_]) -> Json:
    """Rows and events of every site and split."""
    rows = np.diff(federation.bounds, axis=1).tolist()  # [S][3]
    had = np.diff(np.concatenate([[0], np.cumsum(events)])[federation.bounds], axis=1).tolist()
    return {
        site: {split: {"rows": n, "events": k} for split, n, k in zip(SPLITS, *counts, strict=True)}
        for site, *counts in zip(federation.sites, rows, had, strict=True)
    }
