"""Completion of key=value words, as bash, zsh and fish ask for it."""

import os
import subprocess
import sys

import pytest

from sim.cli.completion import words

ZSH = """_arguments '*: :(("algorithm=fedprox"))'"""
START = "import sys; sys.argv = ['fedtrial']; from sim.cli.main import main; main()"


def asked(shell: str, line: list[str]) -> str:
    """What the program answers the shell's script, the last word being the one to complete."""
    text = " ".join(line)
    told = {"COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1), "_TYPER_COMPLETE_ARGS": text}
    told |= {"_FEDTRIAL_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run([sys.executable, "-c", START], env=os.environ | told, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("shell", "line", "expected"),
    [
        ("bash", ["fedtrial", "run", "algorithm", "=", "fedp"], "fedprox"),
        ("fish", ["fedtrial", "study", "quickstart", "algorithm=fedp"], "algorithm=fedprox"),
        (
            "zsh",
            ["fedtrial", "cohort", "describe", "lung", "algorithm=fedp"],
            ZSH,
        ),
    ],
)
def test_a_shell_is_told_the_entries_of_a_group(shell: str, line: list[str], expected: str) -> None:
    assert asked(shell, line) == expected


def test_a_word_goes_on_as_the_config_has_it() -> None:
    assert {"local.lr=", "local.batch="} <= set(words([], "loc"))
    assert words([], "algorithm=fedp") == ["algorithm=fedprox"]
    assert words(["rounds", "=", "3", "algorithm", "="], "fedp") == ["fedprox"]
    assert "scaffold" in words(["algorithm"], "")  # bash, with nothing after the sign
    assert words(["algorithm=fedprox"], "algorithm.") == ["algorithm.mu=", "algorithm.mu=0.01"]
    assert words(["algorithm", "=", "fedprox"], "algorithm.") == ["algorithm.mu=", "algorithm.mu=0.01"]
    assert words([], "weigh") == ["weighting=", "weighting=patients", "weighting=sites"]
    assert words([], "nothing") == []
