"""The Typer application with all commands at once, for what reads their declarations."""

from __future__ import annotations

from imagestore_sim.cli.program import NAMES, command_of, new_app

COMMANDS = tuple(map(command_of, NAMES))
"""Every command, in the order of --help: a function that takes options and returns the exit status."""
app = new_app(COMMANDS)
