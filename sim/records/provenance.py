"""Fingerprint of the code that computes a run."""

import ast
import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import NamedTuple

from sim.checks import Refused

PACKAGE = Path(__file__).parents[1]
START = "sim.run.run"  # the module from which a run is computed
# Rooms of `sim` that make numbers; all others refuse, carry out, record or show.
STAGES = (
    "cohort",
    "partition",
    "shift",
    "federation",
    "tasks",
    "methods",
    "local",
    "engine",
    "exact",
    "metrics",
    "stats",
    "privacy",
    "run",
)
NUMBERS = {*STAGES, "factorize", "files", "jit", "random", "splitmix"}


class Module(NamedTuple):
    """A module and its file."""

    name: str
    file: Path

    @property
    def folder(self) -> Path:
        """The folder of its top-level package, in which `a.b` is a/b.py."""
        return self.file.parents[self.name.count(".") + (self.file.name == "__init__.py")]


class Text(NamedTuple):
    """The text of a module, and the modules that it imports for computing numbers."""

    digest: str
    imports: tuple[Module, ...]


def code(classes: Iterable[type]) -> str:
    """Fingerprint of the code behind a run: START, the modules of the classes that the run names, and their imports.

    An algorithm therefore affects only the runs that name it. Of a user's own package, the modules that its class
    imports are included; versions of other packages are recorded, see `versions`. Comments, docstrings and the texts of
    errors are ignored. Raises Refused for a class whose source is not in a file.
    """
    named = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in classes}
    every = {base for kind in named.values() for base in kind.__mro__ if base is kind or is_dataclass(base)}
    waiting, digests = [found(START, PACKAGE.parent), *map(defining, every)], dict[str, str]()
    while waiting:
        module = waiting.pop()
        if module is not None and module.name not in digests:
            text = read(module)
            digests[module.name] = text.digest
            waiting += text.imports
    whole = json.dumps([sorted(named), sorted(digests.items())])
    return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()


def defining(kind: type) -> Module | None:
    """The module that defines a class; None for a module of `sim` that computes no numbers."""
    name = kind.__module__
    if name.partition(".")[0] == "sim":
        return found(name, PACKAGE.parent)
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None or not Path(file).is_file():
        raise Refused(
            f"{name}.{kind.__qualname__}: its source cannot be read, and it is part of a run's name. "
            "Define it in a file and import it from there."
        )
    return Module(name, Path(file))


def found(name: str, folder: Path) -> Module | None:
    """The module of that name below a folder, if it exists and computes numbers."""
    parts = name.split(".")
    if parts[0] == "sim" and (len(parts) < 2 or parts[1] not in NUMBERS):
        return None
    at = folder.joinpath(*parts)
    files = (at.with_name(f"{at.name}.py"), at / "__init__.py")
    return next((Module(name, file) for file in files if file.is_file()), None)


@functools.cache
def read(module: Module) -> Text:
    """A module as it was when first read: a process does not see edits of what it has imported."""
    tree = ast.parse(module.file.read_bytes())
    digest = hashlib.blake2b("".join(structure(tree)).encode(), digest_size=16).hexdigest()
    return Text(digest, tuple(dict.fromkeys(imported(tree, module))))


def imported(tree: ast.Module, module: Module) -> Iterator[Module]:
    """Modules of `sim` and of the module's own package that it imports by name, anywhere in its text.

    Of `from package import part` it is the module `part` if there is one, and the package's own text only if not:
    tables of entries import all of their modules.
    """

    def search(name: str) -> Module | None:
        top = name.partition(".")[0]
        if top == "sim":
            return found(name, PACKAGE.parent)
        return found(name, module.folder) if top == module.name.partition(".")[0] else None

    package = module.name.split(".")[: None if module.file.name == "__init__.py" else -1]
    for node in ast.walk(tree):
        pairs = []
        if isinstance(node, ast.Import):
            pairs = [("", alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            pairs = [(base, f"{base}.{alias.name}") for alias in node.names]
        for base, name in pairs:
            one = search(name) or search(base)
            if one is not None:
                yield one


def structure(node: object, texts: bool = True) -> Iterator[str]:
    """A syntax tree as text that is the same in every version of Python, without line numbers.

    Statements that are only a constant, such as docstrings, and the texts of a `raise` (`texts` False) are left out.
    """
    if isinstance(node, ast.AST):
        text = isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        if text and not texts:
            return
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if value is not None and value != []:
                yield f" {name}="
                yield from structure(value, texts and not isinstance(node, ast.Raise))
        yield ")"
    elif isinstance(node, list):
        for part in node:
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)):
                yield from structure(part, texts)
    else:
        yield repr(node)
