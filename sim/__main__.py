"""`python -m sim` is `fedtrial`."""

from sim.cli import main

main()
