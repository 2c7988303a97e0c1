"""The fingerprint of the code: what makes a run's numbers and nothing else, in what it does and not how it is told."""

import ast
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import GROUPS, classes
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.fedprox import FedProx
from sim.methods.algorithms.scaffold import Scaffold
from sim.partition import PARTITIONS
from sim.records import provenance
from sim.records.provenance import PACKAGE, code, structure

Edit = Callable[[str, str, str], None]

MINE = '''"""Mine."""
from dataclasses import dataclass
from sim.methods.algorithms.fedprox import FedProx
from mine.helpers import HALF


@dataclass
class Mine(FedProx):
    """FedProx, half."""

    mu: float = HALF


@dataclass
class Yours(FedProx):
    """The same settings."""

    mu: float = HALF
'''


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """A process reads each module once: every test is as if in a process of its own."""
    provenance.read.cache_clear()
    yield
    provenance.read.cache_clear()


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Replaces a text in a module of a copy of the package, which stands for the package from then on."""
    shutil.copytree(PACKAGE, tmp_path / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "sim")

    def change(name: str, old: str, new: str) -> None:
        path = tmp_path / "sim" / name
        text = path.read_text() if path.exists() else ""
        assert old in text
        path.write_text(text.replace(old, new, 1))
        provenance.read.cache_clear()

    return change


def codes() -> dict[str, str]:
    """Fingerprint of a run with each algorithm, by its name."""
    return {name: code([kind]) for name, kind in ALGORITHMS.items()}


def changed(before: dict[str, str]) -> set[str]:
    """Names whose fingerprint is another now."""
    return {name for name, told in codes().items() if told != before[name]}


def test_sentences_do_not_count(edit: Edit) -> None:
    before = codes()
    edit("methods/algorithms/fedprox.py", "a quadratic penalty on the distance", "a penalty on the distance")
    edit("methods/algorithms/fedprox.py", "    def correction", "    # a comment\n\n    def correction")
    edit("federation/split.py", '"""', '"""Another first line. ')
    edit("partition/external.py", "Lower it.", "Lower that.")  # the text of a Refused
    assert changed(before) == set()


def test_an_algorithm_counts_for_the_runs_that_name_it_alone(edit: Edit) -> None:
    before = codes()
    edit("methods/algorithms/fedprox.py", "pull=self.mu", "pull=2 * self.mu")
    assert changed(before) == {"fedprox"}


def test_a_new_algorithm_renames_no_run(edit: Edit) -> None:
    before = codes()
    edit("methods/algorithms/fednew.py", "", "from sim.methods.algorithms.base import Algorithm\n")
    edit("methods/algorithms/__init__.py", "FedAvg = Algorithm", "FedAvg = Algorithm\nfrom fednew import FedNew")
    assert changed(before) == set()


@pytest.mark.parametrize("name", ["cli/main.py", "report/page.py", "verify/check.py", "study/study.py", "checks.py"])
def test_code_that_makes_no_numbers_does_not_count(name: str, edit: Edit) -> None:
    before = codes()
    edit(name, "\n\n\n", "\n\n\nODD = 1\n\n\n")
    assert changed(before) == set()


@pytest.mark.parametrize(
    "name",
    [
        "run/prepare.py",
        "engine/rounds.py",
        "local/kernel.py",
        "federation/split.py",
        "metrics/segments.py",
        "random.py",
    ],
)
def test_code_that_every_run_needs_counts_for_all(name: str, edit: Edit) -> None:
    before = codes()
    edit(name, "\n\n\n", "\n\n\nODD = 1\n\n\n")
    assert changed(before) == set(ALGORITHMS)


def test_a_base_class_and_what_it_imports_count(edit: Edit) -> None:
    one, other = code([PARTITIONS["affinity"]]), code([PARTITIONS["dirichlet"]])
    edit("partition/affinity_axes.py", "\n\n\n", "\n\n\nODD = 1\n\n\n")
    assert code([PARTITIONS["affinity"]]) != one
    assert code([PARTITIONS["dirichlet"]]) == other


def test_every_class_that_an_experiment_names_counts() -> None:
    named = classes(experiment(["algorithm=scaffold", "server=adam", "partition=dirichlet", "net=mlp"]))
    chosen = {"algorithm": "scaffold", "server": "adam", "partition": "dirichlet", "net": "mlp", "cohort": "calibrated"}
    assert named >= {GROUPS[group][name] for group, name in chosen.items()}
    assert not named & set(GROUPS["executor"].values())


def test_a_class_of_the_user_s_own_counts_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helpers.py").write_text("HALF = 0.5\n")
    (package / "alone.py").write_text("HALF = 0.5\n")
    (package / "methods.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        mine, yours = (getattr(import_module("mine.methods"), name) for name in ("Mine", "Yours"))
        first = code([mine])
        assert first != code([FedProx])
        assert first != code([yours])  # of the same file

        def after(name: str, text: str) -> str:
            (package / name).write_text(text)
            provenance.read.cache_clear()
            return code([mine])

        assert after("methods.py", MINE.replace("FedProx, half.", "Half a FedProx.")) == first
        assert after("alone.py", "HALF = 1.0\n") == first  # nothing imports it
        assert after("helpers.py", "HALF = 1.0\n") != first
        assert after("helpers.py", "HALF = 0.5\n") == first
        assert after("methods.py", f"{MINE}\nODD = 1\n") != first
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
            del sys.modules[name]


def test_a_class_whose_source_is_in_no_file_is_refused() -> None:
    typed: dict[str, type] = {}
    exec("class Typed:\n    pass\n", {"__name__": "typed_in"}, typed)
    with pytest.raises(Refused, match="typed_in.Typed.*source cannot be read"):
        code([FedProx, typed["Typed"]])


def test_the_order_in_which_classes_are_named_does_not_matter() -> None:
    assert code([FedProx, Scaffold]) == code([Scaffold, FedProx])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x = 1", "x  =  1  # one", True),
        ("def f():\n    'Says.'\n    return 1", "def f():\n    return 1", True),
        ("raise E(f'{x} is wrong')", "raise E('wrong')", True),
        ("raise E(1)", "raise E(2)", False),
        ("raise E(x)", "raise E(y)", False),
        ("x = 'a'", "x = 'b'", False),
        ("x = None", "x = ''", False),
        ("x = 1", "x = 1.0", False),
        ("x = a - b", "x = b - a", False),
        ("def f(a, /, b): ...", "def f(a, b, /): ...", False),
    ],
)
def test_two_texts_are_the_same_code_if_they_do_the_same(one: str, other: str, same: bool) -> None:
    assert (list(structure(ast.parse(one))) == list(structure(ast.parse(other)))) is same


def test_ground_that_draws_or_compiles_makes_numbers() -> None:
    """A module of the ground that every draw or compiled loop goes through counts, whatever it is called."""
    tools = {"jit", "random", "splitmix", "factorize"}
    for path in sorted(provenance.PACKAGE.glob("*.py")):
        drawn = [line for line in path.read_text().splitlines() if line.startswith(("from sim.jit", "from sim.random"))]
        # `progress` only says that something is compiled.
        if path.stem in tools or (drawn and path.stem != "progress"):
            assert path.stem in provenance.NUMBERS, path.name
