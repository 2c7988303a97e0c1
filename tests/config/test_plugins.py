"""Entries of other distributions: chosen by name, loaded when chosen, refused in words; a broken one breaks itself."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.catalogue.brought import broken, entry_points, joined, proofs, refuse_broken
from sim.catalogue.entry import AXES, entries
from sim.checks import Refused
from sim.cli.completion import words
from sim.config.compose import cells, experiment
from sim.config.experiment import settings
from sim.config.groups import GROUPS
from sim.config.plugins import KINDS, POINTS, entry_name
from sim.config.presets import OWN, add_presets
from sim.config.refusals import options
from sim.records import provenance
from sim.run.predict import entry as read_back
from sim.run.run import run_id
from sim.verify import certificates
from sim.verify.certificates import TABLES
from tests.config.plugin_files import CLASS, algorithm, forget, install, on_path

POINT = "[fedtrial.algorithms]\nmine = mine_module:Mine\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions, with one good plugin in it."""
    folder = tmp_path / "site"
    install(folder, "good-plugin", POINT, {"mine_module": algorithm()})
    with on_path(folder):
        yield folder


def test_an_entry_is_listed_without_its_module_and_loaded_when_it_is_chosen(site: Path) -> None:
    assert "mine" in options("algorithm")
    assert words([], "algorithm=min") == ["algorithm=mine"]
    assert cells(["algorithm=glob(min*)"]) == [["algorithm=mine"]]
    experiment(["algorithm=scaffold"])
    assert "mine_module" not in sys.modules
    made = experiment(["algorithm=mine", "algorithm.share=0.25"])
    assert settings(made.algorithm) == {"is": "mine", "mu": 0.01, "share": 0.25}
    assert words(["algorithm=mine"], "algorithm.sh") == ["algorithm.share=", "algorithm.share=0.5"]
    with pytest.raises(Refused, match=r"algorithm\.shar: .*Did you mean algorithm.share"):
        experiment(["algorithm=mine", "algorithm.shar=0.25"])


@pytest.mark.parametrize("group", KINDS)
def test_every_group_takes_entries_of_plugins(group: str, tmp_path: Path) -> None:
    base = next(iter(GROUPS[group].values()))
    point = next(point for point, known in POINTS.items() if known == group)
    text = CLASS.format(name="Mine", base=base.__qualname__, module=base.__module__)
    install(tmp_path, "mine", f"[{point}]\nmine = mine_module:Mine\n", {"mine_module": text})
    with on_path(tmp_path):
        made = experiment([f"{group}=[mine]" if group == "uplink" else f"{group}=mine"])
        value = getattr(made, group)
        value = value["mine"] if group == "uplink" else value
        assert type(value).__module__ == "mine_module"
        del GROUPS[group]["mine"]
        assert read_back(group, {"is": "mine", "share": 0.75}).share == 0.75  # what `fedtrial predict` does


FAULTS = {  # what is wrong -> entry points, text of the module, what the refusal says
    "an import": (POINT, "import nothing_of_that_name", ["cannot be imported", "nothing_of_that_name", "uninstall"]),
    "an exit": (POINT, "raise SystemExit(3)", ["cannot be imported", "SystemExit"]),
    "no such class": (POINT, "", ["cannot be imported", "Mine"]),
    "a function": (POINT, "def Mine(): pass", ["no class of algorithms", "sim.methods.algorithms.base.Method"]),
    "another axis": (
        POINT,
        CLASS.format(name="Mine", base="Krum", module="sim.methods.aggregators.krum"),
        ["no class of algorithms"],
    ),
    "no dataclass": (POINT, algorithm().replace("@dataclass", ""), ["@dataclass"]),
    "another name": (POINT, algorithm("Yours") + "Mine = Yours\n", ["yours", "one name"]),
    "a field": (POINT, algorithm().replace("share: float = 0.5", "share: object = 0.5j"), ["config cannot hold"]),
    "no default": (
        POINT.replace("algorithms", "nets"),
        CLASS.format(name="Mine", base="Net", module="sim.tasks.nets").replace("= 0.5", ""),
        ["'share' has no default"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_an_entry_is_refused_where_it_is_chosen_alone(fault: str, tmp_path: Path) -> None:
    points, text, says = FAULTS[fault]
    install(tmp_path, "bad-plugin", points, {"mine_module": text})
    group = "net" if "nets" in points else "algorithm"
    with on_path(tmp_path):
        assert experiment(["algorithm=scaffold"])
        with pytest.raises(Refused) as found:
            experiment([f"{group}=mine"])
        for part in ["bad-plugin 1.0", f"fedtrial.{group}s: mine = mine_module:Mine", *says]:
            assert part in str(found.value)
        ((row),) = entry_points()
        assert row.wrong == str(found.value)


@pytest.mark.parametrize(
    ("name", "says"), [("fedprox", "fedtrial's own"), ("krum", "aggregator=krum"), ("a b", "letters")]
)
def test_a_name_that_is_taken_stays_with_its_owner(name: str, says: str, tmp_path: Path) -> None:
    install(tmp_path, "taker", f"[fedtrial.algorithms]\n{name} = mine_module:Mine\n", {"mine_module": algorithm()})
    with on_path(tmp_path):
        assert experiment(["algorithm=fedprox"]).algorithm.__class__.__module__ == "sim.methods.algorithms.fedprox"
        (row,) = entry_points()
        assert says in row.wrong
        assert [one.method for one in broken(joined(TABLES))] == [name]
        refuse_broken("fedprox", joined(TABLES))  # ours can still be looked up and proved
        assert not list(broken(joined(TABLES), "fedprox"))


def test_two_distributions_with_one_name_are_both_refused(site: Path) -> None:
    install(site, "second-plugin", "[fedtrial.uplinks]\nmine = other_module:Mine\n", {"other_module": ""})
    forget()
    with pytest.raises(Refused, match=r"good-plugin 1.0.*second-plugin 1.0 has an entry point of that name"):
        experiment(["algorithm=mine"])


def test_an_object_from_another_process_has_the_name_of_its_entry(site: Path) -> None:
    wanted = experiment(["algorithm=mine"])
    name, sent = run_id(wanted), pickle.dumps(wanted)
    del GROUPS["algorithm"]["mine"]
    assert run_id(pickle.loads(sent)) == name
    assert entry_name(type(wanted.algorithm)) == "mine"


def test_the_code_of_a_plugin_is_part_of_the_name_of_its_runs_alone(site: Path) -> None:
    wanted, other = experiment(["algorithm=mine"]), experiment(["algorithm=fedprox"])

    def names(text: str) -> tuple[str, str]:
        (site / "mine_module.py").write_text(text)
        provenance.read.cache_clear()
        return run_id(wanted), run_id(other)

    mine, ours = names(algorithm())
    assert names("# A remark.\n" + algorithm().replace("A plugin's", "Somebody's")) == (mine, ours)
    changed, same = names(algorithm() + "\n    def correction(self, at):\n        return super().correction(at)\n")
    assert (changed != mine, same) == (True, ours)
    provenance.read.cache_clear()


@pytest.mark.parametrize("group", ["algorithm", "scenario"])
def test_a_preset_may_name_a_plugin_and_may_not_take_its_name(group: str, tmp_path: Path) -> None:
    name = f"in{group}"  # another in each case: what Hydra has been told it keeps
    text = algorithm(name.capitalize())
    point = f"[fedtrial.algorithms]\n{name} = {name}_module:{name.capitalize()}\n"
    install(tmp_path / "site", "named-plugin", point, {f"{name}_module": text})
    folder = tmp_path / "presets" / group
    folder.mkdir(parents=True)
    whole = f"defaults:\n- override /algorithm: {name}\n- _self_\nalgorithm:\n  share: 0.25\n"
    single = f"defaults: [{name}, _self_]\nshare: 0.25\n"
    (folder / f"{group}_quarter.yaml").write_text(whole if group == "scenario" else single)
    try:
        with on_path(tmp_path / "site"):
            add_presets(folder.parent)
            made = experiment([f"{group}={group}_quarter"])
            assert settings(made.algorithm) == {"is": name, "mu": 0.01, "share": 0.25}
            if group == "algorithm":
                (folder / f"{name}.yaml").write_text("share: 0.25\n")
                with pytest.raises(Refused, match="comes from a plugin"):
                    add_presets(folder.parent)
    finally:
        OWN.clear()


PROOF = """
from sim.verify.check import Check

def zero():
    yield Check("nothing is off", lambda entry: 0.0)

def raises():
    raise RuntimeError("no closed form")
    yield
"""


def proven(folder: Path, points: str) -> list[tuple[str, bool]]:
    """Words of the certificates of `mine`, and whether they hold."""
    install(
        folder, "proof", f"{POINT}[fedtrial.certificates]\n{points}\n", {"mine_module": algorithm(), "proofs": PROOF}
    )
    with on_path(folder):
        tables = joined(TABLES)
        found = [*certificates(tables, "mine", proofs()), *broken(tables, "mine")]
        return [(one.property, one.passed) for one in found]


def test_a_certificate_comes_from_the_distribution_of_its_entry(tmp_path: Path) -> None:
    assert proven(tmp_path / "a", "mine = proofs:zero") == [("nothing is off", True)]
    ((words, passed),) = proven(tmp_path / "b", "mine = proofs:raises")
    assert not passed
    assert "proof 1.0" in words
    assert "no closed form" in words
    ((words, passed),) = proven(tmp_path / "c", "mine = proofs:nobody")
    assert "cannot be imported" in words
    ((words, passed),) = proven(tmp_path / "d", "yours = proofs:zero")
    assert not passed
    assert "has no certificate" in words


def test_a_certificate_of_another_distribution_proves_nothing(site: Path) -> None:
    install(site, "proof", "[fedtrial.certificates]\nmine = proofs:zero\n", {"proofs": PROOF})
    forget()
    (only,) = certificates(joined(TABLES), "mine", proofs())
    assert not only.passed
    assert any("provides no entry 'mine'" in one.wrong for one in entry_points())


def test_an_entry_that_is_broken_fails_its_proof_and_has_no_page(tmp_path: Path) -> None:
    install(tmp_path, "bad-plugin", POINT, {"mine_module": "import nothing_of_that_name"})
    with on_path(tmp_path):
        (only,) = broken(joined(TABLES))
        assert "cannot be used" in only.property
        with pytest.raises(Refused, match="bad-plugin"):
            refuse_broken("mine", joined(TABLES))


def test_the_catalogue_lists_plugins_and_the_pages_of_our_own_do_not(site: Path) -> None:
    (entry,) = entries("mine", joined(AXES))
    assert entry.does == "A plugin's Mine."
    assert "mine" not in {one.name for one in entries()}


def test_a_group_that_is_misspelt_is_told(tmp_path: Path) -> None:
    install(tmp_path, "mine", "[fedtrial.algorithm]\nmine = mine_module:Mine\n", {})
    with on_path(tmp_path):
        assert any(
            one.group == "fedtrial.algorithm" and "not a group of fedtrial" in one.wrong for one in entry_points()
        )


def test_the_document_lists_every_group() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
    for point, group in POINTS.items():
        kind = KINDS[group]
        assert f"| `{point}` |" in text
        name = (
            "sim.methods.algorithms.base.Algorithm"
            if group == "algorithm"
            else f"{kind.__module__}.{kind.__qualname__}"
        )
        assert f"`{name}`" in text
