"""One run from settings to records: cohort, partition, federation, task, training, judgement."""

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.cohort.outcomes import SPLITS
from sim.cohort.table import Cohort
from sim.config.experiment import Experiment, Json, identity, settings
from sim.engine.evaluation import Held
from sim.engine.executors import crew
from sim.engine.references import Reference
from sim.engine.rounds import SCORED, Diverged, KeepPredictions, Simulation, rounds
from sim.federation.federation import Federation, build
from sim.federation.split import Leak
from sim.files import writable
from sim.local.tier import choose
from sim.partition.base import digest as partition_digest
from sim.profiling import stage
from sim.progress import Watch
from sim.records import provenance
from sim.records.store import Run, finished, write
from sim.run.model import Chosen, Kept, described, without_model
from sim.run.predictions import predictions
from sim.run.prepare import gather
from sim.run.tables import rounds_frame, sites_frame
from sim.tasks.task import Task

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


_kept: dict[str, Prepared] = {}


def footing(experiment: Experiment) -> str:
    """The settings that say which patients stand where: runs that share them share a federation."""
    whole = settings(experiment)
    return json.dumps({name: whole[name] for name in DATA} | {"groups": experiment.evaluation.groups}, sort_keys=True)


def prepare(experiment: Experiment) -> Prepared:
    """Cohort, partition, federation and task of an experiment; the last two are kept, for methods share them."""
    wanted = footing(experiment)
    if wanted not in _kept:
        while len(_kept) > 1:
            del _kept[next(iter(_kept))]
        there = gather(experiment)
        with stage("federation"):
            named = experiment.evaluation.groups
            federation = build(there.cohort, there.outcome, there.sides, experiment.split.scaling, named)
        with stage("task"):
            task = experiment.task.build(experiment.net, federation)
        leak = there.sides.leak if experiment.partition.overlap else None
        _kept[wanted] = Prepared(there.cohort, there.outcome, there.sites, federation, task, leak)
    return _kept[wanted]


def run_id(experiment: Experiment, prepared: Prepared) -> str:
    """Name of a run: what was asked, of which data, by which code."""
    with stage("cohort"):  # its fingerprint, the first time
        data = prepared.cohort.digest
    what = {"settings": identity(experiment), "data": data, "code": provenance.code()}
    return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=6).hexdigest()


def simulation(experiment: Experiment, prepared: Prepared) -> Simulation:
    """The engine's view of an experiment; a reference trains as FedAvg would, without the averaging."""
    return Simulation(
        federation=prepared.federation,
        task=prepared.task,
        algorithm=experiment.algorithm.trains_as,
        server=experiment.server,
        training=experiment.local,
        system=experiment.system,
        evaluation=experiment.evaluation,
        rounds=experiment.rounds,
        seed=experiment.seed,
    )


def rehearse(experiment: Experiment, watch: Watch = lambda number: None) -> Run:
    """Run an experiment; a diverged one is a run too, with the round it diverged in."""
    prepared = prepare(experiment)
    run = run_id(experiment, prepared)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    status, done, judged, kept = "done", [], [], Kept()
    plan, method = simulation(experiment, prepared), experiment.algorithm
    chosen = choose(plan.task, plan.algorithm, plan.training)
    with crew(experiment.executor, plan.job) as hands:
        began = time.perf_counter()  # compiling and starting processes is over
        try:
            if isinstance(method, Reference):
                metrics, models = method.judge(plan, hands, watch)
                judged = [(experiment.rounds, metrics)]
                kept = Kept(None if models is None else Chosen(experiment.rounds, models))
            else:
                for here in rounds(plan, hands, None):
                    done.append(without_model(here))
                    kept = kept.after(here)
                    if here.metrics is not None:
                        judged.append((here.number, here.metrics))
                    watch(here.number)
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
        "parameters": prepared.task.layout.size,
        "tier": {"is": chosen.tier.value, "why": chosen.why},
        "data": prepared.cohort.digest,
        "partition": partition_digest(prepared.cohort, prepared.sites),
        "notes": dict(prepared.cohort.notes),
        "overlap": prepared.leak and prepared.leak._asdict(),
        "sites": holdings(prepared.federation, events),
        "code": provenance.code(),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "executor": settings(experiment.executor),
        "started": started,
        "wall_seconds": round(time.perf_counter() - began, 3),
    }
    held = Held.of(prepared.federation, SCORED)
    frame = sites_frame(run, prepared.federation, held, events, method.model, judged)
    model = described(experiment, prepared.federation, prepared.task, prepared.outcome, kept, run)
    told = None
    if experiment.evaluation.predictions is KeepPredictions.last and status == "done":
        told = predictions(prepared.task, prepared.federation, held, kept.final and kept.final.vector)
    return Run(run, rounds_frame(run, done), frame, info, model, told)


def holdings(federation: Federation, events: NDArray[np.bool_]) -> Json:
    """Rows and events of every site and split."""
    rows = np.diff(federation.bounds, axis=1).tolist()  # [S][3]
    had = np.diff(np.concatenate([[0], np.cumsum(events)])[federation.bounds], axis=1).tolist()
    return {
        site: {split: {"rows": n, "events": k} for split, n, k in zip(SPLITS, *counts, strict=True)}
        for site, *counts in zip(federation.sites, rows, had, strict=True)
    }


def keep(experiment: Experiment, folder: Path, watch: Watch = lambda number: None) -> Path:
    """Folder of the finished run, computed only if it is not there yet."""
    home = writable(folder) / run_id(experiment, prepare(experiment))
    if finished(home):
        return home
    run = rehearse(experiment, watch)
    with stage("records"):
        return write(run, folder)
