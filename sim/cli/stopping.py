"""Message after a signal: what is saved, and the command that continues."""

import shlex
import signal
import sys
from typing import Any

from typer.core import TyperGroup

from sim.run.signals import Stopped, stoppable
from sim.text import visible


class Commands(TyperGroup):
    """All commands; SIGINT and SIGTERM end each of them as Stopped."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out the command."""
        with stoppable():
            return super().invoke(ctx)


def print_stop(stopped: Stopped) -> None:
    """Print to standard error what is saved, and the command that continues."""
    words = [f"Stopped by {signal.Signals(stopped.number).name}."]
    if stopped.how_far:
        command = shlex.join(["fedtrial", *sys.argv[1:]])
        words.append(f"{stopped.how_far}. The same command continues from there:\n  {command}")
    print(visible(" ".join(words)), file=sys.stderr)
