"""How a command ends: its exit status, and the error that ends it with one line and status 2."""

from __future__ import annotations

import typer

SUCCESS = 0
FAILURE = 1
"""The command did its work, and the outcome is bad: a probe failed, an expectation did not hold, answers differ."""
UNUSABLE_INPUT = 2
INTERRUPTED = 3


class InputError(Exception):
    """Input that a command cannot use; the text says what and why."""


def print_error(text: str) -> None:
    """Print `text` on one line of standard error, after the name of the program."""
    line = " ".join(text.split())
    if not line.isprintable():
        from imagestore_sim.masking import on_one_line  # only now: a health check is to import little

        line = on_one_line(line)
    typer.echo(f"imagestore-sim: {line}", err=True)
