"""Help, refusals and configs load no package that takes long; the line of `sim` that loads one is named."""

import json
import subprocess
import sys

PROGRAM = """
import importlib, json, sys, traceback

heavy = {"torch", "numba", "pandas", "pyarrow", "ray", "lifelines", "seaborn", "matplotlib"}
heavy |= {"scipy.stats", "scipy.special", "scipy.optimize", "scipy.sparse", "scipy.linalg"}
codes, loads = [], []


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in heavy:
            lines = [line for line in traceback.extract_stack() if "/sim/" in line.filename]
            asked = next(line for line in reversed(lines) if not line.filename.endswith("/sim/lazy.py"))
            loads.append(f"{asked.filename}:{asked.lineno} loads {name}: {asked.line}")


sys.meta_path.insert(0, Watch())
from sim.cli.main import main

commands, modules = json.loads(sys.argv[1])
for words in commands:
    sys.argv = ["fedtrial", *words.split()]
    try:
        main()
    except SystemExit as ended:
        codes.append(ended.code)
for module in modules:
    importlib.import_module(module)
print("\\n" + json.dumps([codes, loads]))
"""


def watched(commands: list[str], modules: list[str]) -> tuple[list[int], list[str]]:
    """Exit codes of commands, and the lines of `sim` that they and the import of modules load heavy packages by."""
    words = [sys.executable, "-c", PROGRAM, json.dumps([commands, modules])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=True)
    codes, loads = json.loads(done.stdout.splitlines()[-1])
    return codes, loads


def test_help_refusals_and_configs_load_nothing_that_takes_long() -> None:
    """A file that is named here takes the package from sim.lazy instead, or imports it where it uses it."""
    commands = ["--help", "run rounds=0", "run algorithm=fedpro", "run --cfg job"]
    assert watched(commands, []) == ([0, 2, 2, 0], [])


def test_a_file_that_loads_one_is_named() -> None:
    _, loads = watched([], ["sim.local.tiles"])
    assert [load.partition("/sim/")[2] for load in loads] == ["local/tiles.py:13 loads numba: from numba import types"]
