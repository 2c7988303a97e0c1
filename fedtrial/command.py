"""The command `fedtrial`: refuses a wrong `sim` in a line, and starts."""

import signal
import sys

from fedtrial.place import wrong_sim


def main() -> None:
    """Entry point."""
    signal.signal(
        signal.SIGINT, signal.SIG_DFL
    )  # Ctrl-C while modules load ends the process; no traceback of an import
    wrong = wrong_sim()
    if wrong:
        print(f"Refused: {wrong}", file=sys.stderr)
        sys.exit(2)
    from sim.cli.main import main as start

    start()
