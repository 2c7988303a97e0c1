"""Scenarios: every preset runs, says on what grounds it stands, and yields to what is given beside it."""

from pathlib import Path

import pytest

from sim.assets import root
from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import identity
from sim.config.refusals import options
from sim.run.run import rehearse

# Patients of a reduced cohort: enough for the floors of the partition, and one a site.
REDUCED = {
    "iid": 1000,
    "consortium4": 1000,
    "rare24": 16_000,
    "cross71": 1500,
    "network1000": 20_000,
    "network10000": 40_000,
    "stress200": 4000,
}


@pytest.mark.parametrize("name", options("scenario"))
def test_every_scenario_runs(name: str) -> None:
    wanted = experiment([f"scenario={name}", f"cohort.patients={REDUCED[name]}", "rounds=2"])
    run = rehearse(wanted)
    assert run.info["status"] == "done"
    assert run.info["scenario"] == name
    assert len(run.info["sites"]) == wanted.cohort.sites
    assert set(run.rounds["round"]) == {0, 1, 2}
    assert run.sites.loc[run.sites["metric"] == "auroc", "value"].notna().any()


@pytest.mark.parametrize("path", sorted((root() / "configs" / "scenario").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_scenario_names_itself_and_its_grounds(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# ")
    assert f"scenario: {path.stem}" in lines


@pytest.mark.parametrize("first", [True, False])
def test_what_is_given_beside_a_scenario_wins(first: bool) -> None:
    words = ["cohort.patients=777", "cohort.het=0.1", "partition=iid", "rounds=3"]
    wanted = experiment([*words, "scenario=consortium4"] if first else ["scenario=consortium4", *words])
    assert (wanted.cohort.patients, wanted.cohort.het, wanted.cohort.sites, wanted.rounds) == (777, 0.1, 4, 3)
    assert type(wanted.partition).__name__ == "Iid"


def test_a_scenario_is_a_name_and_no_part_of_a_run_s_identity() -> None:
    named, plain = experiment(["scenario=iid"]), experiment([])
    assert plain.scenario == ""
    same = ["cohort.patients=20000", "cohort.sites=10", "cohort.het=0", "cohort.tau=0"]
    assert identity(named) == identity(experiment(same))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["scenario=consortium"], ["scenario=consortium:", "network1000", "Did you mean scenario=consortium4?"]),
        (
            ["scenario=iid", "cohort=lung"],
            ["scenario=iid sets cohort.cancers", "cohort=lung does not have", "Leave out"],
        ),
        (["scenario=iid", "cohort.bost=2"], ["cohort.bost: no such setting", "cancers"]),
        (["scenario=iid,cross71"], ["several values", "-m"]),
        (["scenario=consortium4", "cohort.sites=5"], ["cohort.sizes", "4 sizes for cohort.sites=5"]),
    ],
)
def test_wrong_scenarios_are_refused_in_words(words: list[str], told: list[str]) -> None:
    with pytest.raises(Refused) as refusal:
        experiment(words)
    for word in told:
        assert word in str(refusal.value)
