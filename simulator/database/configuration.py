"""The global configuration: options declared in the code, the values that somebody changed in the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import delete, insert, select

from simulator.database.engine import Database
from simulator.database.models import GlobalConfig

T_co = TypeVar("T_co", covariant=True)
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")  # what fits in ZStack's long


class InvalidOption(Exception):
    """A value that an option does not take, or a name that is no option; the text says which, and why."""


@dataclass(frozen=True)
class Option(Generic[T_co]):
    """One declared option. `read` turns the text of a value into what it means, or raises ValueError with a text."""

    category: str
    name: str
    default: str
    description: str
    read: Callable[[str], T_co]


class GlobalConfiguration:
    """The values in force of the options that the rooms declare."""

    def __init__(self, database: Database, options: tuple[Option[object], ...]) -> None:
        self._database = database
        self._options = {(option.category, option.name): option for option in options}
        self._values: dict[tuple[str, str], str] = {}
        self._listeners: list[Callable[[], None]] = []

    async def load(self) -> None:
        """Read what somebody changed."""
        rows = await self._database.read(select(GlobalConfig.category, GlobalConfig.name, GlobalConfig.value))
        self._values = {(category, name): value for category, name, value in rows}

    def get(self, option: Option[T_co]) -> T_co:
        """The value in force."""
        return option.read(self._values.get((option.category, option.name), option.default))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change."""
        self._listeners.append(listener)

    def find(self, category: str, name: str) -> Option[object]:
        """A declared option. Raises InvalidOption."""
        option = self._options.get((category, name))
        if option is None:
            raise InvalidOption(f"no global configuration[category:{category}, name:{name}] found")
        return option

    def check(self, category: str, name: str, value: str) -> None:
        """Raises InvalidOption unless the option exists and takes the value."""
        option = self.find(category, name)
        try:
            option.read(value)
        except ValueError as error:
            raise InvalidOption(str(error)) from None

    async def change(self, category: str, name: str, value: str) -> Mapping[str, str]:
        """Set an option, and answer its inventory. Raises InvalidOption."""
        self.check(category, name, value)
        option = self.find(category, name)
        async with self._database.transaction() as connection:
            same = (GlobalConfig.category == category, GlobalConfig.name == name)
            await connection.execute(delete(GlobalConfig).where(*same))
            await connection.execute(insert(GlobalConfig).values(category=category, name=name, value=value))
        self._values[category, name] = value
        for listener in self._listeners:
            listener()
        return {
            "name": name,
            "category": category,
            "description": option.description,
            "defaultValue": option.default,
            "value": value,
        }


def whole_number(name: str, at_least: int) -> Callable[[str], int]:
    """Reads a whole number with a least value, and complains in ZStack's words (domain 3.6)."""

    def read(text: str) -> int:
        if WHOLE_NUMBER.fullmatch(text) is None:
            raise ValueError(f"{name} should be a whole number, but got {text}")
        number = int(text)
        if number < at_least:
            raise ValueError(f"{name} should not less than {at_least}, but got {text}")
        return number

    return read


def boolean(name: str) -> Callable[[str], bool]:
    """Reads `true` or `false`, in any case."""

    def read(text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{name} should be true or false, but got {text}")
        return text.lower() == "true"

    return read
