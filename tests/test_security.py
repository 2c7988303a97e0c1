"""What docs/security.md promises of the source: nothing in it runs what a file says. And the tests it names exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "sim").rglob("*.py"))
PAGE = ROOT / "docs" / "security.md"

FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "hydra.utils"}
# What one process of a sweep sends to another of its own; nothing is read from a file.
BETWEEN_OURSELVES = {"sim/run/cell.py": {"pickle"}, "sim/run/cells.py": {"pickle"}}
FORBIDDEN_CALLS = {
    "eval", "exec", "compile", "__import__", "instantiate",
    "os.system", "os.popen", "torch.load", "torch.save", "pd.read_pickle", "yaml.full_load", "yaml.unsafe_load",
}  # fmt: skip


def called(node: ast.expr) -> str:
    """The name of what is called: `eval`, `torch.load`."""
    if isinstance(node, ast.Attribute):
        return f"{called(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def faults(tree: ast.Module) -> Iterator[str]:
    """What in a module could run code that a file or a word of the user's names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN_MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name, given = called(node.func), {one.arg: one.value for one in node.keywords}
            if name in FORBIDDEN_CALLS:
                yield name
            if name == "np.load" and ast.unparse(given.get("allow_pickle", ast.Constant(True))) != "False":
                yield "np.load with pickles"
            if name == "yaml.load" and ast.unparse(given.get("Loader", ast.Constant(None))) != "Words":
                yield "yaml.load with a loader that builds objects"
            if "shell" in given:
                yield "a shell"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_what_a_file_says(module: Path) -> None:
    found = set(faults(ast.parse(module.read_text())))
    assert found == BETWEEN_OURSELVES.get(module.relative_to(ROOT).as_posix(), set())


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from hydra.utils import instantiate", "eval('1')", "torch.load(x)", "np.load(x)",
     "yaml.load(x, Loader=yaml.Loader)", "subprocess.run('ls', shell=True)"],
)  # fmt: skip
def test_the_search_finds_what_it_searches_for(text: str) -> None:
    assert list(faults(ast.parse(text)))


def test_the_page_names_tests_that_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())
    assert len(named) > 15
    for file, function in named:
        assert (ROOT / file).is_file(), file
        assert not function or f"def {function}(" in (ROOT / file).read_text(), function
