"""Rules about combinations of options. A command declares its own, and applies them before it does anything.

A rule sees the values of all options and arguments of its command by the names of the function's parameters. Rules
apply in order, each to what the ones before it have left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import typer

from imagestore_sim.cli.exits import InputError

Values = SimpleNamespace
Condition = Callable[[Values], bool]


class Rule(Protocol):
    """What has to hold of a command's options."""

    def apply(self, values: Values, context: typer.Context) -> None:
        """Check or change `values`. Raise InputError for what cannot be used."""


@dataclass(frozen=True, slots=True)
class IgnoreVariables:
    """Options whose variables are ignored when a condition holds, since they are meant for other runs."""

    names: tuple[str, ...]
    when: Condition

    def apply(self, values: Values, context: typer.Context) -> None:
        """Put the default in place of each value that a variable has given."""
        if not self.when(values):
            return
        for parameter in context.command.params:
            if parameter.name in self.names and is_from_environment(context, parameter.name):
                setattr(values, parameter.name, parameter.get_default(context))


@dataclass(frozen=True, slots=True)
class OneOf:
    """An option that takes one of some words."""

    name: str
    words: tuple[str, ...]

    def apply(self, values: Values, context: typer.Context) -> None:
        """Raise InputError for any other word."""
        if (value := getattr(values, self.name)) not in self.words:
            raise InputError(f"{_flag(self.name)}: expected {' or '.join(self.words)}, but got {value!r}")


@dataclass(frozen=True, slots=True)
class Default:
    """An option whose default follows from other options."""

    name: str
    value: Callable[[Values], object]

    def apply(self, values: Values, context: typer.Context) -> None:
        """Set the option if it has no value."""
        if getattr(values, self.name) is None:
            setattr(values, self.name, self.value(values))


@dataclass(frozen=True, slots=True)
class Parsed:
    """An option whose text `parse` turns into a value; it raises ValueError for a text that it cannot read."""

    name: str
    parse: Callable[[str], object]
    flag: str = ""
    """The option as people write it, where that is not the name of the parameter."""

    def apply(self, values: Values, context: typer.Context) -> None:
        """Replace the text, if there is one. Raise InputError for a text that cannot be read."""
        if (text := getattr(values, self.name)) is None:
            return
        try:
            setattr(values, self.name, self.parse(text))
        except ValueError as error:
            raise InputError(f"{self.flag or _flag(self.name)}: {error}") from None


@dataclass(frozen=True, slots=True)
class Needs:
    """An option that is of no use without another one."""

    name: str
    other: str

    def apply(self, values: Values, context: typer.Context) -> None:
        """Raise InputError if the option stands alone."""
        if getattr(values, self.name) is not None and getattr(values, self.other) is None:
            raise InputError(f"{_flag(self.name)}: expected together with {_flag(self.other)}")


@dataclass(frozen=True, slots=True)
class Refuse:
    """A combination that cannot be used, and the text that says so; `{name}` in it is the value of an option."""

    when: Condition
    text: str

    def apply(self, values: Values, context: typer.Context) -> None:
        """Raise InputError if the condition holds."""
        if self.when(values):
            raise InputError(self.text.format_map(vars(values)))


def apply_rules(context: typer.Context, rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the values of a command's options by name, with `rules` applied. Raise InputError."""
    values = SimpleNamespace(**context.params)
    for rule in rules:
        rule.apply(values, context)
    return vars(values)


def is_from_environment(context: typer.Context, name: str) -> bool:
    """Return whether a variable has given the option, and not the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "ENVIRONMENT"


def source_of(context: typer.Context, name: str) -> str:
    """Return what a user has to change: the option or argument, and the variable where that has given the value."""
    parameter = next(one for one in context.command.params if one.name == name)
    shown = _flag(name) if parameter.param_type_name == "option" else str(parameter.metavar)
    return f"{shown} ({parameter.envvar})" if is_from_environment(context, name) else shown


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
