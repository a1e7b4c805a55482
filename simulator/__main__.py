"""`python -m simulator` is `imagestore-sim`."""

from simulator.cli import main

main()
