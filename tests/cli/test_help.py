"""The pages of `--help`: 80 columns, options in groups, and examples that are read as they stand."""

from __future__ import annotations

import shlex
from typing import Any

from imagestore_sim.cli.app import COMMANDS as FUNCTIONS
from imagestore_sim.cli.help_page import OTHERS, split_help, summary
from processes import program, run_here
from rows import rows

PROGRAM: Any = program()
NAMES = [one.__name__.replace("_", "-") for one in FUNCTIONS]


@rows("page", [[], *([name] for name in NAMES)])
def test_a_page_fits_in_80_columns_and_ends_with_examples(page: list[str]) -> None:
    finished = run_here(*page, "--help", COLUMNS="80")
    assert finished.status == 0
    assert max(map(len, finished.output.splitlines())) <= 80
    _, _, examples = finished.output.partition("\nExamples:\n")
    assert examples.count("  # ") >= 1
    assert len(examples.splitlines()) == 2 * examples.count("  # ")


@rows("name", NAMES)
def test_every_option_is_shown_with_a_word_for_its_value(name: str) -> None:
    page = run_here(name, "--help", COLUMNS="80").output
    for one in PROGRAM.commands[name].params:
        is_option = one.param_type_name == "option"
        assert one.metavar or (is_option and one.is_flag), one.name
        assert (one.opts[0] if is_option else one.metavar) in page
        assert one.help, one.name


@rows("name", [name for name in NAMES if len(PROGRAM.commands[name].params) > 5])
def test_many_options_stand_in_groups(name: str) -> None:
    groups = [one.rich_help_panel or OTHERS for one in PROGRAM.commands[name].params if one.param_type_name == "option"]
    assert OTHERS not in groups
    assert len(set(groups)) > 1


@rows("name", NAMES)
def test_the_examples_of_a_command_are_its_own_and_are_read(name: str) -> None:
    command = PROGRAM.commands[name]
    _, examples = split_help(command.help)
    own = [line for _, line in examples if line.startswith("imagestore-sim ")]
    assert own
    for line in own:
        words = shlex.split(line.partition(" > ")[0])
        assert words[1] == name
        arguments = words[2:] + ["password"] * (words[-1] == "--password")
        command.make_context(name, arguments)


def test_the_list_of_commands_cuts_no_line() -> None:
    page = run_here("--help", COLUMNS="80").output
    for name in NAMES:
        assert f"  {name:12}  {summary(PROGRAM.commands[name].help)}\n" in page
