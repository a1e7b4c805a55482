"""The pages of `--help`: options in groups, variables and examples, in 80 columns of plain text.

A command declares all of it: the panel of each option is its group, and the examples end its docstring after a line
`Examples:`, each a line that says what it does and a line with the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

EXAMPLES = "Examples"
OTHERS = "Options"
"""The group of --help, and of the options that declare none."""
PREFIX = "IMAGESTORE_SIM_"
WIDEST = 26
"""Columns of an option, at most; the text of a longer one begins on the next line."""
Example = tuple[str, str]
"""What it does, and the command."""
Row = tuple[str, str]


def split_help(text: str | None) -> tuple[str, list[Example]]:
    """Return what a docstring says of a command, and its examples."""
    said, _, shown = (text or "").partition(f"{EXAMPLES}:\n")
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    return said.strip(), list(zip(lines[::2], lines[1::2], strict=True))


def summary(text: str | None) -> str:
    """Return the first clause of what a docstring says, for the list of commands."""
    said, _ = split_help(text)
    ends = [at for at in map(said.find, ".:,;") if at > 0]
    return said[: min(ends, default=None)]


def usage_of(command: Any) -> str:
    """Return what follows the name of a command on its command line."""
    pieces = (one.metavar if one.required else f"[{one.metavar}]" for one in _arguments(command))
    return " ".join(["[OPTIONS]", *pieces])


def rows_of(command: Any, *, variables: bool = False) -> dict[str, list[Row]]:
    """Return arguments and options by groups, in the order of their declaration; the group of --help is the last.

    With `variables`, name the variable of each option, and not only one that the option's name does not tell.
    """
    found: dict[str, list[Row]] = {}
    for one in _arguments(command):
        row = (one.metavar, _with_notes(one, [*_variable(one, always=True), *_defaults(one)]))
        found.setdefault("Arguments", []).append(row)
    for one in _options(command):
        row = (_names(one), _with_notes(one, [*_variable(one, always=variables), *_defaults(one)]))
        found.setdefault(one.rich_help_panel or OTHERS, []).append(row)
    own = ("-h, --help", "Show this page and exit.")
    return found | {OTHERS: [*found.pop(OTHERS, []), own]}


def about_variables(command: Any) -> str:
    """Return how the variables of a command's options are named; empty if they have none."""
    usual = next((one for one in _options(command) if one.envvar == _usual_variable(one)), None)
    if usual is None:
        return ""
    without = [one.opts[0] for one in _options(command) if not one.envvar]
    but = f"; {', '.join(without)} {'has' if len(without) == 1 else 'have'} none" if without else ""
    return f"Each option has a variable, as {usual.envvar} for {max(usual.opts, key=len)}{but}."


def _arguments(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "argument"]


def _options(command: Any) -> list[Any]:
    return [one for one in command.params if one.param_type_name == "option"]


def _names(option: Any) -> str:
    """Return an option as people type it, with a word for its value."""
    names = ", ".join(sorted(option.opts, key=len)) + "".join(f" / {name}" for name in option.secondary_opts)
    return names if option.is_flag else f"{names} {option.metavar}"


def _usual_variable(option: Any) -> str:
    return PREFIX + str(max(option.opts, key=len)).strip("-").replace("-", "_").upper()


def _variable(option: Any, *, always: bool) -> list[str]:
    named = option.envvar and (always or option.envvar != _usual_variable(option))
    return [f"${option.envvar}"] if named else []


def _defaults(parameter: Any) -> list[str]:
    """Return the note of a default, if there is one to speak of."""
    shown, value = parameter.show_default, parameter.default
    if parameter.required:
        return ["required"]
    if isinstance(shown, str):
        return [f"default: {shown}"]
    return [f"default: {value}"] if shown and value not in (None, False) else []


def _with_notes(parameter: Any, notes: Sequence[str]) -> str:
    return f"{parameter.help}  [{'; '.join(notes)}]" if notes else str(parameter.help)


class HelpfulCommand(TyperCommand):
    """A command that shows its options in groups, and ends its page with examples."""

    @override
    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the command line."""
        formatter.write_usage(ctx.command_path, usage_of(self))

    @override
    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the command does."""
        _write_text(split_help(self.help)[0], formatter)

    @override
    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, and the options by their groups."""
        groups = rows_of(self)
        width = max(len(name) for rows in groups.values() for name, _ in rows if len(name) <= WIDEST)
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl([(f"{name:{width}}", text) for name, text in rows], col_max=WIDEST)

    @override
    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write how variables are named, and the examples."""
        if text := about_variables(self):
            formatter.write_paragraph()
            formatter.write_text(text)
        _write_examples(split_help(self.help)[1], formatter)

    @override
    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the line of the list of commands."""
        return summary(self.help)


class HelpfulGroup(TyperGroup):
    """The page of the program: what it is, its commands, and examples."""

    @override
    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what the program is."""
        _write_text(split_help(self.help)[0], formatter)

    @override
    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(split_help(self.help)[1], formatter)


def _write_text(text: str, formatter: Any) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text)


def _write_examples(examples: Iterable[Example], formatter: Any) -> None:
    with formatter.section(EXAMPLES):
        for does, command in examples:
            formatter.write(f"  # {does}\n  {command}\n")
