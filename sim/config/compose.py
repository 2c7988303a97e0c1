"""From command-line overrides to an Experiment, or to a short refusal."""

import math
import threading
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields
from functools import lru_cache

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.assets import root
from sim.checks import Refused, did_you_mean
from sim.config.experiment import Experiment, register
from sim.config.groups import CHAINS, GROUPS
from sim.config.kinds import refuse_kinds, refuse_wide
from sim.config.plugins import choose
from sim.config.presets import OWN
from sim.config.refusals import options, plain, scenario_key, unknown
from sim.config.words import refuse_form, refuse_hydra, spelled_out

SECTIONS = {field.name for field in fields(Experiment)} - {"rounds", "seed"}
MOST_RUNS = 100_000  # of one sweep or one study
HYDRA = threading.Lock()  # Hydra composes for one thread at a time: what it is set to is one for the whole process


def experiment(overrides: Sequence[str]) -> Experiment:
    """The experiment that these overrides describe; raises Refused."""
    return build(composed(overrides))


def build(config: DictConfig) -> Experiment:
    """Typed and range-checked object of a composed config."""
    refuse_code(config)
    try:
        refuse_kinds(config)
        made = OmegaConf.to_object(config)
        refuse_wide(config)
    except (OmegaConfBaseException, OverflowError) as error:
        raise Refused(plain(error)) from None
    assert isinstance(made, Experiment)
    return made


def composed(overrides: Sequence[str]) -> DictConfig:
    """Config of configs/config.yaml with overrides; raises Refused.

    Hydra composes the entries of groups, which takes a fifth of a second and is remembered; values are set afterwards,
    as it does itself.
    """
    for override in overrides:
        refuse_form(override)
    groups = tuple(override for override in overrides if is_choice(override))
    for override in overrides:
        check(override, groups)
    config = deepcopy(entries(groups))
    try:
        values = OverridesParser.create().parse_overrides([word for word in overrides if word not in groups])
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
    except (HydraException, OmegaConfBaseException, OverflowError) as error:
        raise Refused(explain(error, overrides)) from None
    return config


def is_choice(override: str) -> bool:
    """Whether a word chooses the entry of a group, or is meant to."""
    return override.lstrip("+~").partition("=")[0] in GROUPS


def entries(chosen: Sequence[str]) -> DictConfig:
    """Config of these entries of groups alone; to be read, not changed. Raises Refused."""
    for word in chosen:
        refuse_form(word)
        check(word, ())
    number = register()
    files = sorted((root() / "configs").rglob("*.yaml"))
    return remembered(tuple(chosen), (number, repr(OWN), *((path, path.stat().st_mtime_ns) for path in files)))


@lru_cache(maxsize=256)
def remembered(chosen: tuple[str, ...], presets: Hashable) -> DictConfig:
    """What Hydra composes of these entries, as long as `presets`, all that it reads, are as they were."""
    try:
        with (
            hydra_of_others_kept(),
            initialize_config_dir(str(root() / "configs"), version_base="1.3", job_name="fedtrial"),
        ):
            return compose("config", list(chosen))
    except (HydraException, OmegaConfBaseException, OverflowError) as error:
        raise Refused(explain(error, chosen)) from None


@contextmanager
def hydra_of_others_kept() -> Iterator[None]:
    """Inside, Hydra is as in a fresh process; afterwards as before, for a program that uses it for its own configs."""
    with HYDRA:
        before = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            yield
        finally:
            GlobalHydra.instance().hydra = before


def cells(overrides: Sequence[str]) -> list[list[str]]:
    """Override lists of every run of a sweep such as `seed=range(3) algorithm=fedavg,scaffold`."""
    for override in overrides:
        refuse_form(override)
    parser = OverridesParser.create()
    try:
        words = [
            spelled_out(word, one) for word, one in zip(overrides, parser.parse_overrides(list(overrides)), strict=True)
        ]
        parsed = parser.parse_overrides(words)
        number = math.prod(map(values, parsed))
        if number > MOST_RUNS:
            raise Refused(f"{number:,} cells of a sweep: allowed {MOST_RUNS:,}. Name fewer values.")
        if not number:
            empty = next(word for word, one in zip(words, parsed, strict=True) if values(one) == 0)
            raise Refused(f"{empty}: stands for no value, so that the sweep has no cell. Name at least one.")
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    except HydraException as error:
        raise Refused(plain(error)) from None
    return [list(cell) for batch in batches for cell in batch]


def values(word: Override) -> int:
    """How many values a word of a sweep stands for."""
    return sum(1 for _ in word.sweep_iterator()) if word.is_sweep_override() else 1


def check(override: str, chosen: Sequence[str]) -> None:
    """Refuse broken syntax, unknown group entries and new keys; `chosen` holds the group choices."""
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as error:
        remedy = "a value with blanks, brackets or letters beyond ASCII stands in quotes, 'key=\"value\"'"
        raise Refused(f"{override}: not an override. Write key=value; {remedy}. ({plain(error)})") from None
    group = parsed.key_or_group
    if not group or parsed.package is not None:
        raise Refused(f"{override}: the key of a setting is missing. Write key=value, such as rounds=5.")
    refuse_hydra(override, group)
    if parsed.is_delete():
        config = entries(chosen)
        if not own_keys(config, group):
            raise Refused(f"{override}: a setting cannot be removed. Give it a value: {group}=VALUE.")
        if OmegaConf.select(config, group) is None:
            raise Refused(unknown(override, config))
    if parsed.is_sweep_override():
        raise Refused(f"{override}: several values make a sweep; give one value, or use `fedtrial run -m`.")
    if "." in group:
        refuse_below(override, group, chosen)
    if parsed.is_add() or parsed.is_force_add():  # '++' on a misspelt key would make a setting that nobody reads
        config = entries([word for word in chosen if word != override])
        if not own_keys(config, group):
            if OmegaConf.select(config, group) is None:
                raise Refused(unknown(override, config))
            if parsed.is_add():
                raise Refused(f"{override}: leave out '+'.")
    if group in GROUPS:
        given, allowed = parsed.value(), options(group)
        for value in map(str, given if group in CHAINS and isinstance(given, list) else [given]):
            if value not in allowed:
                hint = did_you_mean(value, allowed, f"{group}={{}}")
                raise Refused(f"{group}={value}: allowed {', '.join(allowed)}.{hint}")
            choose(group, value)


def own_keys(config: DictConfig, key: str) -> bool:
    """Whether a key is in a mapping with the user's own keys, which may be added: `+cohort.files.NAME=FILE`."""
    parent = OmegaConf.select(config, key.rpartition(".")[0] or "rounds")
    return isinstance(parent, DictConfig) and OmegaConf.get_type(parent) is dict


def refuse_below(override: str, key: str, chosen: Sequence[str]) -> None:
    """Refuse a key that names something within a single value, such as `scenario.x` or `cohort.patients.x`."""
    parent = key.rpartition(".")[0]
    if "." not in parent and parent in {*GROUPS, *SECTIONS} - {"scenario"}:
        return
    if key.startswith("scenario."):
        raise Refused(f"{override}: scenario takes one name. Choose one: scenario={' | '.join(options('scenario'))}.")
    value = OmegaConf.select(entries(chosen), parent)
    if value is not None and not isinstance(value, DictConfig):
        raise Refused(f"{override}: {parent} is a single value. Write {parent}=VALUE.")


def refuse_code(config: DictConfig) -> None:
    """Refuse `_target_` anywhere in a config, including presets."""
    for path in keys(OmegaConf.to_container(config, resolve=False), ""):
        if path.split(".")[-1] == "_target_":
            raise Refused(f"{path}: '_target_' is not allowed; a config never names code.")


def keys(node: object, at: str) -> Iterator[str]:
    """Full keys of a nested container."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        path = f"{at}.{name}" if at else str(name)
        yield path
        yield from keys(child, path)


def explain(error: BaseException, overrides: Sequence[str]) -> str:
    """A message about the wrong override and what is allowed there."""
    cause = error.__cause__ if isinstance(error, ConfigCompositionException) and error.__cause__ else error
    text = str(error)
    set_by = scenario_key(f"{text}\n{cause}", overrides)
    if set_by:
        return set_by
    if "not in struct" in str(cause) or "not in '" in str(cause) or "No match in the defaults" in text:
        # Longest first: `local.lr` also stands in the text about `local.lrr`.
        keys_given = sorted((override.lstrip("+~").split("=")[0] for override in overrides), key=len, reverse=True)
        groups = [override for override in overrides if override.split("=")[0] in GROUPS]
        return next((unknown(key, composed(groups)) for key in keys_given if key in text), text.splitlines()[0])
    return plain(cause)
