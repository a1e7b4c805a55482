"""`python -m imagestore_sim` is `imagestore-sim`."""

from imagestore_sim.cli.app import main

main()
