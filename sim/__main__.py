"""`python -m sim` is `fedtrial`."""

from sim.cli.main import main

main()
