"""Write docs/commands.md: every command and option, as `--help` shows them."""

from __future__ import annotations

import html
import re

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from imagestore_sim.cli.app import app

HEAD = """\
# Commands

Every command of `imagestore-sim`, with its options, as `--help` shows them; `make docs` writes this page. An option can
also be given as the environment variable beside it. Exit status 0: done; 1: the answer is no (`probe`, `ready`,
`replay`, `compare`); 2: invalid input, with one line on stderr.

"""


def page() -> str:
    """Return the page."""
    command = get_command(app)
    context = typer.Context(command, info_name="imagestore-sim")
    text = html.unescape(get_docs_for_click(obj=command, ctx=context, name="imagestore-sim"))
    text = text.partition("\n")[2].lstrip("\n")  # its heading is this page's
    text = re.sub(r"; default: \((.*?)\)\]$", r"; default: \1]", text, flags=re.MULTILINE)
    return HEAD + re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"
