"""The experiments of many cells: Hydra composes what cells share once, and each cell sets its own values."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.checks import Refused
from sim.config.compose import build, composed
from sim.config.experiment import Experiment
from sim.config.groups import GROUPS
from sim.config.words import refuse_form

SEED = re.compile(r"seed=(\d{1,18})")
Configs = dict[tuple[str, ...], DictConfig]  # of the last cell with these words, plain values aside
VALUE = re.compile(r"[a-z_.0-9]+=[^$]*")  # neither added nor taken away, and no interpolation


def experiments(cells: Sequence[Sequence[str]]) -> list[Experiment]:
    """The experiment of every cell, given its overrides; raises Refused for the first that is wrong."""
    configs: Configs = {}
    made: dict[tuple[str, ...], Experiment] = {}
    found = []
    for cell in cells:
        seed = next((SEED.fullmatch(word) for word in cell if SEED.fullmatch(word)), None)
        if seed is None or any("$" in word for word in cell):
            found.append(of_values(cell, configs))
            continue
        rest = tuple(word for word in cell if word != seed[0])
        if rest not in made:
            made[rest] = of_values(cell, configs)
        found.append(replace(made[rest], seed=int(seed[1])))
    return found


def seeded(cell: Sequence[str], seeds: int, configs: Configs) -> list[Experiment]:
    """The experiment of a cell with seeds 0 to `seeds` - 1; `${seed}` in an override stands for the seed of each run.

    `configs`, empty at first, is handed from cell to cell.
    """
    if not any("$" in word for word in cell):
        first = of_values(cell, configs)
        return [replace(first, seed=seed) for seed in range(seeds)]
    config, made = composed(cell), []
    for seed in range(seeds):
        config.seed = seed
        made.append(build(config))
    return made


def of_values(cell: Sequence[str], configs: Configs) -> Experiment:
    """The experiment of a cell, from the config of an earlier one that differs from it in plain values alone."""
    values = [word for word in cell if is_value(word)]
    alike = (*(word for word in cell if word not in values), "", *(word.partition("=")[0] for word in values))
    if alike in configs:
        try:
            for word in values:
                key, value = parsed(word)
                OmegaConf.update(configs[alike], key, value, merge=True)
            return build(configs[alike])
        except (Refused, HydraException, OmegaConfBaseException):
            configs.pop(alike)  # composed anew, for the words of the refusal
    config = composed(cell)
    made = build(config)
    configs[alike] = config
    return made


def is_value(word: str) -> bool:
    """Whether a word sets one plain value, so that it changes nothing but this value."""
    key = word.partition("=")[0]
    return bool(VALUE.fullmatch(word)) and key not in GROUPS and not any(letter in word for letter in "[]{}")


@lru_cache(maxsize=4096)
def parsed(word: str) -> tuple[str, object]:
    """Key and value of a word, as Hydra reads them."""
    refuse_form(word)
    one = OverridesParser.create().parse_override(word)
    if one.is_sweep_override() or one.package is not None:
        raise Refused(word)
    return one.key_or_group, one.value()
