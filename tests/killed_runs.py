"""Runs in processes that are killed: `python -m tests.killed_runs points|moments FOLDER KEY=VALUE...` prints JSON.

Everything is prepared once. Every run is a fork of this process, which is killed for good; the next one goes on.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.records import tensors
from sim.records.unfinished import working_folder
from sim.run.keep import keep
from sim.run.run import Prepared, prepare, run_id

WRITES = ("fsync", "rename", "replace", "unlink", "rmdir")  # of the module os: whatever reaches the disk
TIMES = ("started", "wall_seconds")


def content(home: Path) -> dict[str, Any]:
    """All that a run left, but for its times."""
    info = json.loads((home / "run.json").read_text())
    files = {path.name: path.read_bytes() for path in home.iterdir() if path.name not in ("run.json", "DONE")}
    return files | {"run.json": {name: part for name, part in info.items() if name not in TIMES}}


def forked(work: Callable[[], object]) -> int:
    """A child process that does the work; its number."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def ended(child: int) -> int:
    """Exit code of a child, negative for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(point: int) -> None:
    """From now on this process dies just before its write of that number, which is just after the one before it."""
    left = point

    def passed() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hooked(write: Callable[..., object]) -> Callable[..., object]:
        def done(*words: Any, **names: Any) -> object:
            passed()
            return write(*words, **names)

        return done

    def in_parts(whole: Callable[..., Iterator[bytes]], *words: Any) -> Iterator[bytes]:
        for part in whole(*words):
            passed()
            yield part

    for name in WRITES:
        setattr(os, name, hooked(getattr(os, name)))
    tensors.parts = partial(in_parts, tensors.parts)  # type: ignore[assignment]


class Killing:
    """Runs of one experiment in one folder."""

    def __init__(self, folder: Path, words: list[str]) -> None:
        self.folder, self.wanted = folder, experiment(words)
        self.prepared = prepare(self.wanted)
        self.name = run_id(self.wanted)
        self.keep(folder / "whole")  # here, so that the forks have loaded all that they need
        self.whole = content(folder / "whole" / self.name)

    def preparing(self, wanted: Experiment) -> Prepared:
        return self.prepared

    def keep(self, folder: Path, point: int = 0) -> None:
        """The run, killed at a write if `point` is set."""
        if point:
            killed_at(point)
        keep(self.wanted, folder, preparing=self.preparing)

    def agrees(self, folder: Path) -> bool:
        """Whether the run is there with the bits of the undisturbed one, and nothing else is."""
        return content(folder / self.name) == self.whole and not working_folder(folder, self.name).exists()


def points(killing: Killing) -> Mapping[str, Any]:
    """Kill a run at every write, one after the other; each is then finished by another process."""
    wrong, went_on, point = [], 0, 1
    while True:
        folder = killing.folder / str(point)
        code = ended(forked(partial(killing.keep, folder, point)))
        if code == 0:
            return {"points": point - 1, "wrong": wrong, "went_on": went_on}
        left = working_folder(folder, killing.name)
        went_on += any(left.glob("checkpoint-*"))
        if code != -signal.SIGKILL or ended(forked(partial(killing.keep, folder))) or not killing.agrees(folder):
            wrong.append(point)
        point += 1


def moments(killing: Killing, kills: int = 10) -> Mapping[str, Any]:
    """Kill one run again and again, each time some random milliseconds after a random number of checkpoints."""
    folder, draw, codes = killing.folder / "killed", random.Random(0), []
    left = working_folder(folder, killing.name)

    def parts() -> int:
        return len(list(left.glob("records-*")))

    for _ in range(kills):
        enough = parts() + draw.randint(1, 5)
        child = forked(partial(killing.keep, folder))
        while parts() < enough and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        codes.append(ended(child))
    there = parts()
    code = ended(forked(partial(killing.keep, folder)))
    return {"kills": codes.count(-signal.SIGKILL), "parts": there, "code": code, "same": killing.agrees(folder)}


if __name__ == "__main__":
    how = {"points": points, "moments": moments}[sys.argv[1]]
    print(json.dumps(how(Killing(Path(sys.argv[2]), sys.argv[3:]))))
