"""The pages of `--help`, from files: to parse the options of all commands takes five times as long as to read a page.

`make docs` writes the files from the declarations of the commands, and a test compares them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

FOLDER = os.path.join(os.path.dirname(__file__), "help_pages")
PROGRAM = "imagestore-sim"
"""The file of the program's own page, and what the pages call the program."""
BY_PYTHON = "python -m imagestore_sim"
FLAGS = ("-h", "--help")
COLUMNS = 80
"""Pages fit in it. On a narrower terminal they are not read from files."""
WIDEST = COLUMNS - 2
"""A longer command line would be wrapped."""


def show_page(command_line: Sequence[str]) -> bool:
    """Print the page that a command line asks for. Return False if it asks for something else."""
    path, *names, flag = command_line if len(command_line) > 1 else ("", "")
    if flag not in FLAGS or len(names) > 1 or _columns() < COLUMNS:
        return False
    if (page := _read(names[0] if names else PROGRAM)) is None:
        return False
    usage, end, rest = page.partition("\n")
    program = os.path.basename(path)
    usage = usage.replace(PROGRAM, BY_PYTHON if program == "__main__.py" else program, 1)
    if len(usage) > WIDEST:
        return False
    try:
        print(usage, end, rest, sep="", end="", flush=True)
    except OSError:
        return False  # the usual way fails as well, and says why
    return True


def _read(name: str) -> str | None:
    """Return the page of a command; None if there is none."""
    if name.replace("-", "").isalpha():
        with suppress(OSError), open(os.path.join(FOLDER, f"{name}.txt"), encoding="utf-8") as page:
            return page.read()
    return None


def _columns() -> int:
    """Return the width of the terminal, as Typer takes it: $COLUMNS, or that of standard output, or 80."""
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and int(given):
        return int(given)
    try:
        return os.get_terminal_size(1).columns or COLUMNS
    except OSError:
        return COLUMNS
