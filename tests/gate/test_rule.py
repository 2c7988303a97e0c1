"""What a gate decides from the facts of runs: each tier, the exit code, and which cells get more seeds."""

from dataclasses import replace

import numpy as np
import pytest

from sim.checks import Refused
from sim.gate import run
from sim.gate.compare import refuse_terms, unmatched
from sim.gate.definition import GateCell, gate_cells
from sim.gate.facts import Facts
from sim.gate.finding import Finding, Outcome, exit_code
from sim.gate.quality import Pairs, quality
from sim.gate.run import Asked, compared, judge
from tests.gate.made import baseline, fact, gate

GATE = gate()
CELL = gate_cells(GATE)[0]
HELD = baseline(GATE)


def findings(*now: Facts | str, strict: bool = False) -> dict[str, Finding]:
    """Findings of the only cell by what they are about."""
    found = compared(GATE, [CELL], HELD, {CELL.key: list(now)}, strict, 2)
    return {f"{one.tier} {one.what}": one for one in found}


def outcomes(*now: Facts | str, strict: bool = False) -> dict[str, str]:
    """Those that are no pass."""
    return {
        what: one.outcome.value for what, one in findings(*now, strict=strict).items() if one.outcome is not Outcome.ok
    }


def moved(*differences: float) -> list[Facts]:
    """Runs whose AUROC differs from the baseline's by these."""
    return [fact(seed, auroc=0.7 + difference) for seed, difference in enumerate(differences)]


def test_equal_runs_pass() -> None:
    assert outcomes(*map(fact, range(5))) == {}
    assert findings(*map(fact, range(5)))["quality auroc"].told == "the same values for all 5 seeds."


def test_a_loss_beyond_the_margin_fails_and_a_small_one_passes() -> None:
    assert outcomes(*moved(-0.051, -0.049, -0.05, -0.052, -0.048)) == {"quality auroc": "fail"}
    assert outcomes(*moved(-0.001, 0.001, 0, -0.002, 0.001)) == {}
    assert outcomes(*moved(-0.02, 0.01, -0.03, 0.02, -0.01)) == {"quality auroc": "inconclusive"}


def test_less_is_better_where_the_metric_says_so() -> None:
    worse = [fact(seed, brier=0.25 + 0.001 * seed) for seed in range(5)]
    assert outcomes(*worse) == {"quality brier": "fail"}
    assert findings(*worse)["quality brier"].numbers.mean == pytest.approx(-0.052)


def test_an_unexpected_gain_is_a_warning() -> None:
    found = findings(*moved(0.05, 0.051, 0.049, 0.05, 0.052))
    assert found["quality auroc"].outcome is Outcome.warning
    assert exit_code(list(found.values()), warn=False) == 0


def test_fewer_than_five_seeds_decide_nothing_even_where_they_are_equal() -> None:
    assert set(outcomes(*map(fact, range(3))).values()) == {"inconclusive"}
    assert exit_code(list(findings(*map(fact, range(3))).values()), warn=False) == 3


@pytest.mark.parametrize(("fact_name", "value"), [("bytes_up", 960), ("rounds", 2), ("uploads", 11), ("bytes_down", 1)])
def test_an_exact_fact_that_changed_fails(fact_name: str, value: int) -> None:
    now = [fact(0), fact(1, **{fact_name: value}), *map(fact, range(2, 5))]
    assert outcomes(*now) == {f"exact {fact_name}": "fail"}
    assert f"seeds 1: {getattr(fact(1), fact_name)} → {value}" in findings(*now)[f"exact {fact_name}"].told


def test_other_patients_at_the_sites_cannot_be_paired() -> None:
    now = [fact(seed, partition="q") for seed in range(5)]
    expected = {"exact partition": "fail", "quality auroc": "not comparable", "quality brier": "not comparable"}
    assert outcomes(*now) == expected


def test_other_bits_are_a_note_unless_asked_and_nothing_on_another_machine(monkeypatch) -> None:
    now = [fact(seed, records="s") for seed in range(5)]
    assert outcomes(*now) == {"bits records": "note"}
    assert outcomes(*now, strict=True) == {"bits records": "fail"}
    monkeypatch.setattr(run, "surroundings", lambda: {"versions": {}, "machine": {"vector": "NEON"}, "packages": {}})
    assert outcomes(*[fact(seed, records="s", data="e") for seed in range(5)]) == {}
    assert outcomes(*map(fact, range(5)), strict=True) == {"bits records": "not comparable"}


def test_runs_that_diverged_or_have_no_value_fail_and_failed_ones_are_errors() -> None:
    four = [fact(seed) for seed in range(4)]
    broken = fact(4, status="diverged in round 2: too fast.")
    assert outcomes(*four, broken) == {"validity runs": "fail"}
    assert findings(*four, broken)["validity runs"].told == "seeds 4 diverged in round 2: too fast."
    nan = fact(4, values={"auroc": np.nan, "brier": 0.2}, sites={"auroc": 0, "brier": 4})
    assert outcomes(*four, nan) == {"validity auroc": "fail"}
    assert outcomes(*four, fact(4, sites={"auroc": 3, "brier": 4})) == {"validity auroc": "fail"}
    assert outcomes(*four, "out of memory") == {"validity runs": "error"}


def test_holm_counts_what_moved_and_not_what_is_equal() -> None:
    """p = 0.004 of a loss: enough beside cells that are equal, too much beside nineteen others that moved."""
    draw = np.array([-0.05, -0.03, -0.06, -0.035, -0.045])
    noise = np.array([0.001, -0.001, 0.002, -0.002, 0.0005])

    def first(others: list[np.ndarray]) -> Outcome:
        family = [Pairs(CELL, "auroc", one, one, one) for one in (draw, *others)]
        return quality(family, {"auroc": 0.01}, 2)[0].outcome

    assert first([np.zeros(5)] * 19) is Outcome.fail
    assert first([noise] * 19) is Outcome.inconclusive


@pytest.mark.parametrize(
    ("there", "warn", "code"),
    [
        ([Outcome.ok, Outcome.note, Outcome.warning], False, 0),
        ([Outcome.ok, Outcome.inconclusive], False, 3),
        ([Outcome.ok, Outcome.inconclusive], True, 0),
        ([Outcome.incomparable], True, 3),
        ([Outcome.error, Outcome.inconclusive], False, 4),
        ([Outcome.error, Outcome.fail], False, 1),
    ],
)
def test_the_gravest_outcome_is_the_exit_code(there: list[Outcome], warn: bool, code: int) -> None:
    assert exit_code([Finding("", "a", "quality", "auroc", outcome, "") for outcome in there], warn) == code


def test_a_cell_that_its_seeds_leave_open_gets_the_others(monkeypatch) -> None:
    """FedAvg is equal; SCAFFOLD is open with five seeds, and settled with ten."""
    both = gate({"FedAvg": ["algorithm=fedavg"], "SCAFFOLD": ["algorithm=scaffold"]})
    asked: list[tuple[list[str], range]] = []
    difference = np.array([-0.012, 0.01, -0.01, 0.012, -0.008, *[0.0005, -0.0005] * 3])

    def compute(gate_: object, cells: list[GateCell], seeds: range, workers: int) -> run.Results:
        asked.append(([cell.method for cell in cells], seeds))
        return {
            cell.key: [fact(seed, auroc=0.7 + difference[seed] * (cell.method == "SCAFFOLD")) for seed in seeds]
            for cell in cells
        }

    monkeypatch.setattr(run, "compute", compute)
    monkeypatch.setattr(run, "slower", lambda *_: [])
    cells = gate_cells(both)
    found = judge(both, cells, baseline(both), Asked(1))
    assert asked == [(["FedAvg", "SCAFFOLD"], range(5)), (["SCAFFOLD"], range(5, 10))]
    assert exit_code(found, warn=False) == 0
    seeds = {one.method: one.numbers.seeds for one in found if one.what == "auroc" and one.numbers}
    assert seeds == {"FedAvg": 5, "SCAFFOLD": 10}
    asked.clear()
    assert exit_code(judge(both, cells, baseline(both), Asked(1, seeds=5)), warn=False) == 3
    assert len(asked) == 1


def test_other_margins_seeds_or_cells_are_not_comparable() -> None:
    (found,) = refuse_terms(gate(margins={"auroc": 0.05, "brier": 0.005}), HELD)
    assert (found.what, found.outcome) == ("margins", Outcome.incomparable)
    assert "0.01" in found.told
    assert "0.05" in found.told
    assert [one.what for one in refuse_terms(gate(most_seeds=20), HELD)] == ["most_seeds"]
    other = gate({"FedAvg": ["algorithm=fedavg", "local.lr=0.2"], "SCAFFOLD": ["algorithm=scaffold"]})
    here = unmatched(gate_cells(other), HELD)
    assert [(one.method, one.outcome) for one in here] == [
        ("FedAvg", Outcome.incomparable),
        ("SCAFFOLD", Outcome.incomparable),
    ]
    assert "none → local.lr=0.2" in here[0].told
    gone = unmatched([CELL], baseline(other))
    assert [one.method for one in gone] == ["FedAvg", "SCAFFOLD"]


def test_defaults_that_mean_something_else_are_told() -> None:
    held = replace(HELD, cells={CELL.key: replace(HELD.cells[CELL.key], config="another")})
    found = compared(GATE, [CELL], held, {CELL.key: [*map(fact, range(5))]}, False, 2)
    assert [one.what for one in found if one.outcome is Outcome.note] == ["defaults"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"margins": {"auroc": 0}}, "margins: auroc=0: allowed > 0"),
        ({"margins": {"aurok": 0.1}}, "aurok"),
        ({"seeds": 0}, "seeds=0"),
        ({"most_seeds": 4}, "most_seeds=4: allowed [5"),
        ({"methods": {"FedAvg\n": []}}, "not a label"),
    ],
)
def test_a_wrong_gate_is_refused(keys: dict[str, object], says: str) -> None:
    with pytest.raises(Refused) as refused:
        gate(**keys)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ({"Hazards": ["task=cox"]}, "Hazards: margins has none of its metrics. Give a margin for one of"),
        ({"X": ["algorithm=fedpro"]}, "mine: X: algorithm=fedpro"),
    ],
)
def test_a_wrong_cell_is_refused_by_name(methods: dict[str, list[str]], says: str) -> None:
    with pytest.raises(Refused, match=says.replace(".", r"\.")):
        gate_cells(gate(methods, margins={"auroc": 0.01}))
