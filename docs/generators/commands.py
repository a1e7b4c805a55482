"""Write docs/commands.md, every command and option as `--help` shows them, and the pages of `--help` themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from typer.main import get_command

from imagestore_sim.cli.app import app
from imagestore_sim.cli.help_page import Example, rows_of, split_help, summary, usage_of
from imagestore_sim.cli.quick_help import COLUMNS, PROGRAM

HEAD = """\
# Commands

Every command of `imagestore-sim`, with its options, as `--help` shows them; `make docs` writes this page. An option can
also be given as the environment variable beside it. Exit status 0: done; 1: the answer is no (`probe`, `ready`,
`replay`, `compare`), or the node was lost (`record`); 2: invalid input, with one line on stderr.
"""


def page() -> str:
    """Return the page."""
    program: Any = get_command(app)
    paragraphs = [
        HEAD.rstrip("\n"),
        *_list_of(program),
        *(one for name in program.commands for one in _section(program, name)),
    ]
    return "\n\n".join(paragraphs) + "\n"


def help_pages() -> Mapping[str, str]:
    """Return each page of `--help` by the name of its file."""
    program: Any = get_command(app)
    with mock.patch.dict("os.environ", COLUMNS=str(COLUMNS)):
        own = program.make_context(PROGRAM, [], resilient_parsing=True)
        pages = {PROGRAM: program.get_help(own)}
        for name, command in program.commands.items():
            pages[name] = command.get_help(command.make_context(name, [], parent=own, resilient_parsing=True))
    return {f"{name}.txt": f"{page}\n" for name, page in pages.items()}


def _list_of(program: Any) -> Iterator[str]:
    """Yield what the program itself says."""
    said, examples = split_help(program.help)
    yield said
    yield _table(
        ("command", "what it does"), [(f"`{name}`", summary(one.help)) for name, one in program.commands.items()]
    )
    yield _examples(examples)


def _section(program: Any, name: str) -> Iterator[str]:
    command = program.commands[name]
    said, examples = split_help(command.help)
    yield f"## `imagestore-sim {name}`"
    yield said
    yield f"```text\nimagestore-sim {name} {usage_of(command)}\n```"
    for group, rows in rows_of(command, variables=True).items():
        yield f"**{group}**"
        yield "\n".join(f"* `{names}`: {text}" for names, text in rows)
    yield _examples(examples)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _examples(examples: Sequence[Example]) -> str:
    return "```sh\n" + "\n".join(f"# {does}\n{command}" for does, command in examples) + "\n```"
