"""The house: imports run from higher stages to lower ones, and no two packages or files import each other."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [  # from the top down; packages of one floor do not import each other
    {"cli", "api"},
    {"analyses", "catalogue"},
    {"report", "gate"},
    {"study"},
    {"run", "intake"},
    {"verify", "config"},
    {"engine"},
    {"local"},
    {"methods"},
    {"tasks"},
    {"federation"},
    {"shift"},
    {"partition"},
    {"cohort"},
    {"exact", "metrics", "records"},
    {"stats", "privacy"},
]
GROUND = {
    "arrays",
    "assets",
    "checks",
    "drafts",
    "factorize",
    "files",
    "jit",
    "lazy",
    "memory",
    "pool",
    "processes",
    "profiling",
    "progress",
    "random",
    "ray_cluster",
    "scratch",
    "splitmix",
    "terminal",
    "text",
}
LEVEL = {package: level for level, packages in enumerate(FLOORS) for package in packages}


def name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name(path): path for path in sorted((ROOT / "sim").rglob("*.py"))}


def imported(module: str) -> list[tuple[int, str]]:
    """Line and name of every module of `sim` that a module imports, wherever in it."""
    found = []
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "sim":
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, one if one in MODULES else node.module) for one in full]
        elif isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "sim"]
    return found


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in LEVEL])
def test_imports_run_downwards(module: str) -> None:
    here = room(module)
    for line, other in imported(module):
        there = room(other)
        if there and there != here and there not in GROUND:
            assert LEVEL[there] > LEVEL[here], (
                f"{MODULES[module]}:{line}: {here}/ imports {other}, which stands on the same floor or above it"
            )


@pytest.mark.parametrize("module", [module for module in MODULES if room(module) in GROUND])
def test_the_ground_imports_no_stage(module: str) -> None:
    for line, other in imported(module):
        assert room(other) in GROUND, f"{MODULES[module]}:{line}: the ground imports {other}"


def test_every_module_has_a_floor() -> None:
    assert {room(module) for module in MODULES} - {"", "__main__"} == set(LEVEL) | GROUND


def test_no_two_files_import_each_other() -> None:
    """Depth-first search for a circle; the assertion names its files in order."""
    graph = {module: {other for _, other in imported(module)} - {module} for module in MODULES}
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(graph[module]):
                walk(other, [*path, module])
            done.add(module)

    for module in graph:
        walk(module, [])


def test_no_fixture_comes_from_another_test_file() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tests."):
                assert not node.module.split(".")[-1].startswith("test_"), f"{path}:{node.lineno}: {node.module}"
