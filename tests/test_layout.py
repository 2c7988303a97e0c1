"""The shape of the repository: data folders hold no Python, modules stay small, entries are complete."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from sim.config.experiment import GROUPS

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "sim").rglob("*.py"))


@pytest.mark.parametrize("folder", ["configs", "datasets", "experiments", "results"])
def test_data_folders_hold_no_python(folder: str) -> None:
    assert (ROOT / folder).is_dir()
    tracked = [path for path in (ROOT / folder).rglob("*.py") if "runs" not in path.parts]
    assert not tracked


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_are_small_and_documented(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= 260, "split the idea"
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "say what the module is"


def test_only_execution_touches_ray() -> None:
    users = {path.name for path in MODULES if re.search(r"^ *import ray\b", path.read_text(), re.MULTILINE)}
    assert users == {"node_actors.py", "pool.py", "processes.py", "ray_actors.py", "ray_cluster.py"}


def test_no_module_uses_the_global_random_state() -> None:
    for path in MODULES:
        text = path.read_text()
        assert "np.random.seed" not in text
        assert "torch.manual_seed" not in text
        assert "default_rng(" not in text, path


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_configs_name_no_code(path: Path) -> None:
    assert "_target_" not in path.read_text()
    assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("group", GROUPS)
def test_every_entry_of_every_table_says_what_it_is(group: str) -> None:
    for name, entry in GROUPS[group].items():
        assert entry.__doc__, name
        assert not entry.__doc__.startswith(f"{entry.__name__}("), name  # dataclass's own filler


def test_slow_tests_are_named_as_they_are() -> None:
    """A line of tests/slow.txt that names nothing would make `make quick` slower without a word."""
    lines = [line for line in (ROOT / "tests" / "slow.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == sorted(set(lines))
    for line in lines:
        file, _, function = line.partition("::")
        assert f"def {function}(" in (ROOT / "tests" / file).read_text() or not function, line


@pytest.mark.xdist_group("probe")
def test_tests_that_share_a_fixture_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """Some versions of pytest lose the groups of pytest-xdist, and every process would start a Ray of its own."""
    if request.config.getoption("loadgroup", False):
        assert request.node.nodeid.endswith("@probe")
