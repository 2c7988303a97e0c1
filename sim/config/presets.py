"""Users' own presets FOLDER/GROUP/NAME.yaml, which are checked and then available by name in all commands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from sim.assets import root
from sim.checks import Refused, brief, one_of
from sim.config.groups import GROUPS
from sim.config.plugins import NAME, brought, choose
from sim.config.resolvers import refuse_resolvers
from sim.config.yaml_words import read_yaml

OWN: dict[str, dict[str, Any]] = {}  # group -> name -> content of presets of the user's own


def add_presets(folder: Path) -> list[str]:
    """Register the presets of a folder; returns their names as `cohort=mine`. Refuses invalid ones."""
    if not folder.is_dir():
        raise Refused(f"--config-dir {folder}: no such folder. Name one that holds presets, such as cohort/mine.yaml.")
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".yaml", ".yml"))
    if not files:
        raise Refused(
            f"--config-dir {folder}: no presets in it. Presets are files GROUP/NAME.yaml, such as cohort/mine.yaml."
        )
    return [add(path, folder) for path in files]


def add(path: Path, folder: Path) -> str:
    """Register one preset."""
    group, name = path.parent.relative_to(folder).as_posix(), path.stem
    one_of(f"{path}: group", group, GROUPS, "Presets are called GROUP/NAME.yaml.")
    if path.suffix != ".yaml" or not NAME.fullmatch(name):
        raise Refused(f"{path}: allowed a name of letters, digits, _ and - that ends in .yaml.")
    if name in brought(group):
        raise Refused(f"{path}: {group}={name} comes from a plugin, see `fedtrial methods`. Choose another name.")
    if name in GROUPS[group] or (root() / "configs" / group / path.name).is_file():
        raise Refused(f"{path}: {group}={name} is one of fedtrial's own. Choose another name.")
    try:
        content = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: not YAML in UTF-8: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise Refused(f"{path}: it has no keys. Write key: value.")
    for key in every_key(content):
        if key == "_target_" or key == "hydra" or key.startswith(("hydra.", "hydra/")):
            raise Refused(f"{path}: {key!r} is not allowed; a preset never names code.")
    for text in every_text(content):
        refuse_resolvers(text, str(path))
    refuse_defaults(path, group, content.get("defaults", []))
    package = "_global_" if group == "scenario" else None
    ConfigStore.instance().store(group=group, name=name, node=OmegaConf.create(content), package=package)
    OWN.setdefault(group, {})[name] = content
    return f"{group}={name}"


def refuse_defaults(path: Path, group: str, defaults: Any) -> None:
    """Refuse a list of defaults that names anything but entries of groups; loads those of plugins."""
    if not isinstance(defaults, list):
        raise Refused(f"{path}: defaults={brief(defaults)}: allowed a list, such as [tabular, _self_].")
    for one in defaults:
        named = next(iter(one)) if isinstance(one, dict) and len(one) == 1 else one
        if not isinstance(named, str):
            raise Refused(f"{path}: defaults: {brief(one)}: allowed the name of an entry, or `override /GROUP: NAME`.")
        if isinstance(one, dict):
            other = named.removeprefix("override ").strip().strip("/")
            one_of(f"{path}: defaults", other, GROUPS)
            chosen = one[named]
            for entry in chosen if isinstance(chosen, list) else [chosen]:
                choose(other, str(entry))
        elif named != "_self_" and not NAME.fullmatch(named):
            raise Refused(f"{path}: defaults: {brief(named)}: allowed an entry of {group}, such as tabular.")
        else:
            choose(group, named)


def every_key(content: object) -> Iterator[str]:
    """Keys of a nested container."""
    if isinstance(content, dict):
        yield from map(str, content)
    for part in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from every_key(part)


def every_text(content: object) -> Iterator[str]:
    """Texts that are values of a nested container."""
    if isinstance(content, str):
        yield content
    for part in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from every_text(part)
