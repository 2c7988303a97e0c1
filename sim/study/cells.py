"""The cells of a study: every run, its place in the tables, and the index from cells to runs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sim.checks import Refused, one_of
from sim.config.compose import MOST_RUNS
from sim.config.experiment import Experiment
from sim.config.many import Configs, seeded
from sim.engine.references import REFERENCES
from sim.metrics import BACKDOOR
from sim.records.digest import of_json
from sim.study.study import REFERENCE_LABELS, Study
from sim.study.tuning import candidates


@dataclass(frozen=True)
class Cell:
    """One run of a study and its place in it."""

    method: str
    reference: str  # "" | "local" | "pooled" | "oracle"
    scenario: str
    experiment: Experiment
    tuned: str = ""  # values of the settings that the study tunes

    @property
    def name(self) -> str:
        """Its name in messages."""
        scenario = f", scenario {self.scenario}" if self.scenario else ""
        return f"{self.method}{scenario}{self.tuned and f', {self.tuned}'}, seed {self.experiment.seed}"


def study_cells(study: Study, extra: Sequence[str] = ()) -> list[Cell]:
    """Every run of a study, seeds outermost, so that runs on the same patients follow each other.

    `extra` are overrides for all of them. Refuses what is wrong in any cell before the first one runs.
    """
    tried = sum(len(candidates(study.tune, chosen)) for chosen in study.methods.values())
    each = len(study.all_scenarios) * (tried + len(REFERENCE_LABELS))
    if study.seeds * each > MOST_RUNS:
        values = f" with {tried} settings to try" if study.tune else ""
        raise Refused(
            f"{study.name}: seeds={study.seeds} x {len(study.all_scenarios)} scenarios x {len(study.methods)} methods"
            f"{values} and {len(REFERENCE_LABELS)} references = {study.seeds * each:,} runs: allowed {MOST_RUNS:,}."
        )
    made, configs = [], Configs()
    for scenario, overrides in study.all_scenarios.items():
        shared = [*study.overrides, *overrides, *extra]
        for label, chosen in study.methods.items():
            for words in candidates(study.tune, chosen):
                runs = seeded([*shared, *words, *chosen], study.seeds, configs)
                made.append([Cell(label, "", scenario, run, " ".join(words)) for run in runs])
        plain = seeded(shared, study.seeds, configs)
        for reference, label in REFERENCE_LABELS.items() if study.metric != BACKDOOR else ():
            if reference != "oracle" or plain[0].cohort.knows_truth(plain[0].task.kind):
                runs = [run.judged_by(REFERENCES[reference]()) for run in plain]
                made.append([Cell(label, reference, scenario, run) for run in runs])
    for cell, *_ in made:
        refuse_metric(study, cell)
    return [of_cell[seed] for seed in range(study.seeds) for of_cell in made]


def refuse_metric(study: Study, cell: Cell) -> None:
    """Refuse a primary metric that the run of a cell would not record."""
    if study.metric == BACKDOOR and BACKDOOR not in cell.experiment.metrics:
        where = f"{cell.method}{cell.scenario and f', scenario {cell.scenario}'}"
        raise Refused(
            f"{study.name}: metric={BACKDOOR!r}: {where} has no attack=backdoor, so that nobody bears its mark. Set "
            "attack=backdoor in every cell (with attack.sites=0 it is the honest federation), or choose another metric."
        )
    remedy = "Choose another with --metric, or another task."
    one_of(f"{study.name}: metric", study.metric, cell.experiment.metrics, remedy)


def index(
    study: Study,
    cells: Sequence[Cell],
    runs: Sequence[str],
    command: str,
    failed: Mapping[str, str] | None = None,
    words: Sequence[str] = (),
) -> str:
    """Contents of study.json: study, command, the run of each cell, failed runs with reasons, a digest.

    `words` are the overrides that were given in addition to the study's file.
    """
    listing = [
        {
            "run": run,
            "method": cell.method,
            "reference": cell.reference,
            "scenario": cell.scenario,
            "seed": cell.experiment.seed,
            "tuned": cell.tuned,
        }
        for cell, run in zip(cells, runs, strict=True)
    ]
    content = {"study": asdict(study), "command": command, "runs": listing, "failed": dict(failed or {})}
    content = json.loads(json.dumps(content | {"words": list(words)}))
    return json.dumps(content | {"digest": of_json(content)}, indent=2) + "\n"
