"""`fedtrial run`: one experiment, or a sweep with -m. Everything is checked first; Hydra composes, and runs nothing."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from sim.assets import root
from sim.checks import Refused
from sim.cli.run_table import show
from sim.cli.sweep import sweep
from sim.config.compose import cells, experiment
from sim.config.experiment import Experiment, register
from sim.config.presets import add_presets
from sim.config.words import refuse_twice
from sim.profiling import stage
from sim.progress import bar, compiling
from sim.records.store import read
from sim.run.check import checked
from sim.run.sweep import keep, unfinished

REFUSED = {  # options of Hydra's that would load other configs, or code
    "config_name": "fedtrial has its own configs. Set key=value, or a scenario.",
    "config_path": "fedtrial has its own configs. Set key=value, or a scenario.",
    "experimental_rerun": "it would load a pickle, which is code. Give the settings again: a finished run is not "
    "computed twice.",
    "shell_completion": "use `fedtrial --install-completion`.",
}


def launch(words: Sequence[str]) -> int:
    """Exit code of a run or a sweep: 0, or 1 where one diverged or failed; every wrong cell is refused before."""
    asked = get_args_parser().parse_args(list(words))
    for option, remedy in REFUSED.items():
        if getattr(asked, option):
            raise Refused(f"--{option.replace('_', '-')}: {remedy}")
    if asked.config_dir:
        add_presets(Path(asked.config_dir).expanduser())
    if asked.help or asked.hydra_help:
        hand_over(words, asked)
        return 0
    with stage("settings"):
        refuse_twice(asked.overrides)
        chosen = cells(asked.overrides) if asked.multirun else [asked.overrides]
        wanted = [experiment(cell) for cell in chosen]
    if asked.cfg or asked.info:
        hand_over(words, asked)
        return 0
    return sweep(chosen, wanted) if asked.multirun else one(wanted[0])


def hand_over(words: Sequence[str], asked: argparse.Namespace) -> None:
    """Let Hydra print its help, the config or how that came about; it runs nothing."""
    register()

    def nothing(config: DictConfig) -> None:
        """The job, which these options do not start."""

    own = [at for at, word in enumerate(words) if word in ("--config-dir", "-cd")]
    left_out = {*own, *(at + 1 for at in own)}
    rest = [word for at, word in enumerate(words) if at not in left_out and not word.startswith("--config-dir=")]
    sys.argv = ["fedtrial run", *rest]
    hydra.main(version_base="1.3", config_path=str(root() / "configs"), config_name="config")(nothing)()


def one(wanted: Experiment) -> int:
    """One run: compute it unless it is there, and say what came out."""
    folder = Path(wanted.results.dir)
    shelf = checked([("", left) for left in unfinished([wanted], folder).values()])
    with compiling(), bar(f"{wanted.rounds} rounds", wanted.rounds) as watch:
        home = keep(wanted, folder, watch, shelf)
    run = read(home)
    show(run, home)
    return int(run.info["status"] != "done")
