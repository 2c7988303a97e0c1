"""Distributions as an installer leaves them: modules and metadata in a folder on the path."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sim.config import plugins
from sim.config.groups import GROUPS

CLASS = '''"""A plugin."""
from dataclasses import dataclass
from {module} import {base}


@dataclass
class {name}({base}):
    """A plugin's {name}."""

    share: float = 0.5  # (0, 1]
'''


def install(folder: Path, name: str, points: str, modules: Mapping[str, str]) -> None:
    """A distribution of version 1.0 with these entry points, as entry_points.txt has them."""
    meta = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    meta.mkdir(parents=True)
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(points)
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)


def algorithm(name: str = "Mine", base: str = "FedProx") -> str:
    """A module with an algorithm."""
    return CLASS.format(name=name, base=base, module=f"sim.methods.algorithms.{base.lower()}")


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """Inside, what is installed in the folder is known to this process; afterwards all is as before."""
    groups, modules = {group: dict(entries) for group, entries in GROUPS.items()}, set(sys.modules)
    sys.path.insert(0, str(folder))
    forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - modules:
            if getattr(sys.modules[name], "__file__", None) and str(folder) in str(sys.modules[name].__file__):
                del sys.modules[name]
        for group, entries in groups.items():
            GROUPS[group].clear()
            GROUPS[group].update(entries)
        forget()


def forget() -> None:
    """As if nothing had been read of any plugin."""
    importlib.invalidate_caches()
    plugins.plugins.cache_clear()
    plugins.load.cache_clear()
