"""Error messages about settings in the project's terms instead of those of the libraries."""

import re
from collections.abc import Sequence
from dataclasses import fields

from omegaconf import DictConfig, OmegaConf

from sim.assets import root
from sim.checks import did_you_mean
from sim.config.groups import GROUPS
from sim.config.plugins import brought
from sim.config.presets import OWN


def options(group: str) -> list[str]:
    """Entries of a group: the tables of the code, the presets in configs/ and of the user's own, and of plugins."""
    presets = (root() / "configs" / group).glob("*.yaml")
    return sorted({*GROUPS[group], *(preset.stem for preset in presets), *OWN.get(group, ()), *brought(group)})


def plain(error: BaseException) -> str:
    """An error in one line, without its library's vocabulary."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key:")), "")
    typed = re.match(r"Value '(.*)' of type '.*' could not be converted to (\w+)", first)
    listed = re.match(r"Invalid value '(.*)', expected one of \[(.*)\]", first)
    if key and typed:
        wanted = {"Float": "a number", "Integer": "a whole number", "Boolean": "true or false"}
        return f"{key}={typed[1]}: allowed {wanted.get(typed[2], typed[2])}."
    if key and listed:
        return f"{key}={listed[1]}: allowed {listed[2]}.{did_you_mean(listed[1], listed[2].split(', '), f'{key}={{}}')}"
    if isinstance(error, OverflowError):
        return f"{key}: the number is too large; the largest allowed is 1e308."
    if key and "KeyValidationError" in str(error):
        return f"{key}: keys must be text, but YAML reads NO, on or 1 as other types. Put the key in quotes: 'NO'."
    if key and "not Optional" in first:
        return f"{key}=null: allowed a value. Leave the setting out to use its default."
    if key and "is not a ListConfig" in first:
        return f"{key}: allowed a list, in brackets and quotes: '{key}=[a, b]'."
    if key and "is not a subclass" in first:
        return f"{key}: this is a group of settings, not a value. Set one of them: {key}.NAME=VALUE."
    return f"{key}: {first}" if key else first


def scenario_key(text: str, overrides: Sequence[str]) -> str:
    """Refusal of a scenario with an entry of a group that lacks a setting of it; empty if the user set the key."""
    chosen = dict(override.lstrip("+~").split("=", 1) for override in overrides if "=" in override)
    key = next(iter(re.findall(r"full_key: *(\S+)", text)), "")
    if not key or key in chosen or "scenario" not in chosen:
        return ""
    group = key.split(".")[0]
    entry = f"{group}={chosen[group]}" if group in chosen else f"the {group} in use"
    return f"scenario={chosen['scenario']} sets {key}, which {entry} does not have. Leave out one of the two."


def unknown(override: str, config: DictConfig) -> str:
    """Refusal of a key that does not exist, with those that do."""
    key = override.lstrip("+~").split("=")[0]
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    if not isinstance(node, DictConfig):
        return unknown(parent, config) if parent else f"{key}: no such setting."
    allowed = sorted(str(name) for name in node)
    if not allowed:
        return f"{key}: the chosen {parent} has no settings; the {parent}s are {', '.join(options(parent))}."
    hint = did_you_mean(leaf, allowed, f"{parent}.{{}}" if parent else "{}")
    place = f"{entry(parent, node)} has" if parent else "allowed are"
    return f"{key}: no such setting; {place} {', '.join(allowed)}.{hint or owners(parent, leaf)}"


def entry(group: str, node: DictConfig) -> str:
    """`partition=natural` if that entry of a group was chosen, otherwise the name of the section."""
    named = [name for name, kind in GROUPS.get(group, {}).items() if kind is OmegaConf.get_type(node)]
    return f"{group}={named[0]}" if named else group


def owners(group: str, leaf: str) -> str:
    """Entries of a group that have a setting that the chosen one lacks."""
    able = [name for name, kind in GROUPS.get(group, {}).items() if leaf in {field.name for field in fields(kind)}]
    return f" It is a setting of {', '.join(f'{group}={name}' for name in able)}." if able else ""
