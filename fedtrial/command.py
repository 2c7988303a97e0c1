"""The command `fedtrial`: refuses a wrong `sim` in a line, and starts."""

import sys

from fedtrial.place import wrong_sim


def main() -> None:
    """Entry point."""
    wrong = wrong_sim()
    if wrong:
        print(f"Refused: {wrong}", file=sys.stderr)
        sys.exit(2)
    from sim.cli.main import main as start

    start()
