"""Options whose value people need not write on the command line: they are asked for it.

Click can do that, but newer versions of Typer have a parser of their own, which refuses an option without its value.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typing_extensions import override

from imagestore_sim.cli.exits import InputError
from imagestore_sim.cli.help_page import HelpfulCommand

TERMINAL = "/dev/tty"
END_OF_OPTIONS = "--"


class PromptingCommand(HelpfulCommand):
    """A command that prompts for the value of an option with `prompt_required=False`, if the option has none."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments. Raise InputError where there is no terminal to ask on."""
        if ctx.resilient_parsing:  # the shell completes a line
            return super().parse_args(ctx, args)
        asked: dict[str, Any] = {}
        for option in self.params:
            if getattr(option, "prompt", None) and not getattr(option, "prompt_required", True):
                asked |= dict.fromkeys(option.opts, option)
        return super().parse_args(ctx, list(_with_values(args, asked)))


def _with_values(args: Sequence[str], asked: dict[str, Any]) -> Iterator[str]:
    """Yield the arguments; those of `asked` that have no value have the one that the user types."""
    end = args.index(END_OF_OPTIONS) if END_OF_OPTIONS in args else len(args)
    for at, word in enumerate(args):
        after = args[at + 1] if at + 1 < len(args) else END_OF_OPTIONS
        if at < end and word in asked and after.startswith("-") and after != "-":
            yield f"{word}={_prompt(word, asked[word])}"
        else:
            yield word


def _prompt(name: str, option: Any) -> str:
    if not _has_terminal():
        raise InputError(f"{name} has no value, and there is no terminal to ask for it; set ${option.envvar}")
    answer: str = typer.prompt(option.prompt, hide_input=option.hide_input)
    return answer


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin.isatty()
    return True
