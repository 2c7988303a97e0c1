"""`python -m sim` is `fedtrial`."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while modules load ends the process; no traceback of an import

from sim.cli.main import main  # noqa: E402

main()
