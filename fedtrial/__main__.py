"""`python -m fedtrial` is `fedtrial`."""

from fedtrial.command import main

main()
