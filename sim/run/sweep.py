"""Many runs, in this process or in a pool of processes. Finished runs are skipped, so a sweep can be resumed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.checks import Refused, one_of, within
from sim.config.experiment import Experiment
from sim.engine.executors import OnRay, cores
from sim.engine.worker import Worker
from sim.files import writable
from sim.pool import Pool
from sim.processes import ray_session
from sim.progress import Watch
from sim.records.store import finished
from sim.records.unfinished import sweep_killed
from sim.run.cell import CellBody, Halted, attempt
from sim.run.cells import Cells, Ended, Named
from sim.run.check import checked
from sim.run.run import run_id, simulation
from sim.run.signals import Stopped, finishing
from sim.run.workload import worth_ray

PAUSE = 0.5  # seconds between checks of cells that other processes are running
ON_ERROR = ("continue", "stop")

Tick = Callable[[], None]


@dataclass(frozen=True)
class Launch:
    """How the cells of a sweep or a study are executed; no bit of a run depends on it."""

    workers: int = 0  # >= 0 processes; 0 = one per core, or only this one if starting Ray would take longer
    on_error: str = "continue"  # "continue" with the other cells after one has failed, or "stop"
    retries: int = 2  # >= 0, how often a cell is started again if its process died

    def __post_init__(self) -> None:
        within("workers", self.workers, 0, 10_000)
        one_of("on_error", self.on_error, ON_ERROR)
        within("retries", self.retries, 0, 1000)


def unfinished(named: Named, folder: Path) -> Named:
    """The experiments, by run id, whose runs are not in the folder; determined without loading patients."""
    return {run: experiment for run, experiment in named.items() if not finished(folder / run)}


def run_all(experiments: Sequence[Experiment], folder: Path, workers: int, watch: Watch) -> list[Path]:
    """Folders of all runs, in order; missing ones are computed by `workers` processes.

    If a run failed, raises Refused after all others are written.
    """
    runs = [run_id(experiment) for experiment in experiments]
    left = unfinished(dict(zip(runs, experiments, strict=True)), folder)
    there = len(experiments) - len(left)
    failed = []
    homes = dict.fromkeys(runs, folder)
    ended_so_far = ends(left, homes, Launch(workers), {}, watch=lambda done: watch(there + done))
    for ended in ended_so_far:
        failed += [f"Run {ended.run} failed: {ended.failed}"] if ended.failed else []
    if failed:
        raise Refused(" ".join(failed))
    return [folder / run for run in runs]


def ends(
    left: Named,
    folders: Mapping[str, Path],
    launch: Launch,
    names: Mapping[str, str],
    begin: Tick = lambda: None,
    watch: Watch = lambda number: None,
) -> Iterator[Ended]:
    """The end of every remaining run, in order of completion.

    By run id: the folder of its results, also of finished runs, and its name in refusals. `begin` is called after all
    cells are checked, before the first one runs; `watch` is called with the number of ended runs, also regularly while
    workers are busy. Only this process writes, each run as soon as it ends. A run that fails in training does not stop
    the others unless `on_error` is stop; a full disk, or a change of the code, stops them all, and what is written
    remains. Raises RayLost where Ray died, and Stopped after a signal.
    """
    for folder in set(folders.values()):
        sweep_killed(writable(folder))
    cache = checked([(names.get(run, ""), one) for run, one in left.items()])
    begin()
    number = 0

    def tick() -> None:
        watch(number)

    tick()
    with Cells(left, folders, cache, launch.on_error == "stop") as cells:
        for ended in carried_out(cells, launch, tick):
            number += 1
            tick()
            yield ended


def carried_out(cells: Cells, launch: Launch, tick: Tick) -> Iterator[Ended]:
    """Ends of all cells: run in a pool if that is worthwhile, and finally those that other processes are running."""
    workers = min(launch.workers or cores(), len(cells.left))
    if not (workers > 1 and (launch.workers or worth_ray(cells.schedule.left, workers))):
        yield from here(cells, 0 if launch.workers else workers)
    yield from pooled(cells, workers, launch.retries, tick)
    yield from shared(cells, tick)


def here(cells: Cells, workers: int) -> Iterator[Ended]:
    """Ends of the cells in this process; with `workers`, until the remaining work turns out to be worth a pool."""
    began, whole, last = time.monotonic(), cells.schedule.left, ""
    while (taken := cells.take(0)) is not None:
        yield from cells.others()
        run, cell = taken
        if last and cells.footings[last] != cells.footings[run]:
            cells.cache.forget(cells.left[last])
        last = run
        yield cells.end(run, attempt(cell.experiment, cells.cache, cell.home))
        left = cells.schedule.left
        if workers and worth_ray((time.monotonic() - began) * left / (whole - left), workers):
            return
    yield from cells.others()


def pooled(cells: Cells, workers: int, retries: int, tick: Tick) -> Iterator[Ended]:
    """Ends of the cells in a pool of processes. No process is started if no cell is left."""
    first = cells.packed(0)
    yield from cells.others()
    if first is None:
        return
    compiled = cells.left[first[0]]
    Worker.open(simulation(compiled, cells.cache(compiled)).job)  # compiles, if need be, what all processes then load
    waiting = [first]
    with ray_session(workers, address(compiled)), finishing() as signalled:
        pool = Pool(CellBody, workers, retries)

        def look() -> None:
            if signalled.number and not pool.stopped:
                cells.stopped = True
                pool.stop()
            tick()

        halted: list[str] = []
        for run, outcome in pool.run(lambda worker: waiting.pop() if waiting else cells.packed(worker), look):
            if isinstance(outcome, Halted):
                halted.append(outcome.how_far)
                cells.let_go(run)
                continue
            yield cells.end(run, outcome)
            yield from cells.others()
        if signalled.number:
            raise Stopped(signalled.number, ". ".join(filter(None, halted)))
    yield from cells.others()


def address(experiment: Experiment) -> str:
    """Address of the Ray cluster that an experiment names, whose nodes can access the results; "" = this machine."""
    return experiment.executor.address if isinstance(experiment.executor, OnRay) else ""


def shared(cells: Cells, tick: Tick) -> Iterator[Ended]:
    """Ends of the cells that other processes were running; abandoned ones are computed here."""
    while cells.aside and not cells.stopped:
        run = cells.look_aside()
        yield from cells.others()
        if run is not None:
            yield cells.end(run, attempt(cells.left[run], cells.cache, cells.homes[run]))
        elif cells.aside:
            tick()
            time.sleep(PAUSE)
