"""The records of twenty runs, to hold a change of the engine against the tree before it: same settings, same bits.

    python benchmarks/same_records.py FOLDER                 # run them here
    python benchmarks/same_records.py FOLDER --against OTHER # and compare with what another tree left in OTHER

Columns that one side lacks are named and left out; everything else must agree to the last bit.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

RUNS = Path(__file__).with_name("same_records.yaml")


def run(name: str, overrides: list[str], folder: Path) -> None:
    """One run in a process of its own, into `folder/name`."""
    command = [sys.executable, "-m", "sim", "run", *overrides, f"results.dir={folder / name}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")


def table(folder: Path, name: str, kind: str) -> pd.DataFrame:
    """A table of the only run in `folder/name`, without its id."""
    (path,) = (folder / name).glob(f"*/{kind}.parquet")
    frame = pd.read_parquet(path)
    return frame.astype({column: "str" for column in frame if frame[column].dtype == "category"}).drop(columns="run")


def differences(name: str, here: Path, there: Path) -> list[str]:
    """What differs between two trees' records of a run."""
    found = []
    for kind in ("rounds", "sites"):
        mine, other = table(here, name, kind), table(there, name, kind)
        shared = [column for column in other if column in mine]
        if not mine[shared].equals(other[shared]):
            wrong = [column for column in shared if not mine[column].equals(other[column])]
            found.append(f"{name}: {kind}.parquet differs in {', '.join(wrong) or 'the number of rows'}")
        if alone := sorted(set(mine) ^ set(other)):
            print(f"{name}: {kind}.parquet: {', '.join(alone)} on one side alone, not compared")
    return found


def main() -> None:
    """Run, and compare if asked."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--against", type=Path)
    asked.add_argument("--runs", type=Path, default=RUNS)
    words = asked.parse_args()
    runs: dict[str, list[str]] = yaml.safe_load(words.runs.read_text())
    for name, overrides in runs.items():
        if not list((words.folder / name).glob("*/DONE")):
            run(name, overrides, words.folder)
    if words.against:
        found = [line for name in runs for line in differences(name, words.folder, words.against)]
        print("\n".join(found) or f"{len(runs)} runs: the same bits")
        raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
