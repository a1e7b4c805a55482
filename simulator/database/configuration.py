"""The global configuration: options declared in the code; the database has them too, with the values in force."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Row, insert, select, update

from simulator.database.engine import Database
from simulator.database.models import GlobalConfig

T_co = TypeVar("T_co", covariant=True)
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")
INTEGERS = range(-(2**31), 2**31)
SIZE = re.compile(r"([0-9]{1,18})([BKMGTbkmgt]?)")
SHIFTS = {"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}
Read = Callable[["Option[T_co]", str], T_co]


class InvalidOption(Exception):
    """A value that an option does not take, or a name that is no option; the text says which, and why."""


@dataclass(frozen=True)
class Option(Generic[T_co]):
    """One declared option. `read` turns the text of a value into what it means, or raises InvalidOption."""

    category: str
    name: str
    default: str
    description: str
    read: Read[T_co]


class GlobalConfiguration:
    """The values in force of the options that the rooms declare."""

    def __init__(self, database: Database, options: tuple[Option[object], ...]) -> None:
        self._database = database
        self._options = {(option.category, option.name): option for option in options}
        self._values: dict[tuple[str, str], str] = {}
        self._listeners: list[Callable[[], None]] = []

    async def load(self) -> None:
        """Read the values, and write what the code declares anew: a default that nobody changed goes with the code."""
        rows = {(row.category, row.name): row for row in await self._database.read(select(*COLUMNS))}
        for key, option in self._options.items():
            row = rows.get(key)
            self._values[key] = option.default if row is None or row.value == row.defaultValue else row.value
            if row is None or (row.description, row.defaultValue) != (option.description, option.default):
                await self._declare(option, row)

    async def _declare(self, option: Option[object], row: Row[str, str, str, str, str] | None) -> None:
        key = {"category": option.category, "name": option.name}
        value = self._values[option.category, option.name]
        declared = {"description": option.description, "defaultValue": option.default, "value": value}
        async with self._database.transaction() as connection:
            if row is None:
                await connection.execute(insert(GlobalConfig).values(**key, **declared))
            else:
                await connection.execute(update(GlobalConfig).filter_by(**key).values(**declared))

    def get(self, option: Option[T_co]) -> T_co:
        """The value in force."""
        return option.read(option, self._values.get((option.category, option.name), option.default))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change."""
        self._listeners.append(listener)

    def find(self, category: str, name: str) -> Option[object]:
        """A declared option. Raises InvalidOption."""
        option = self._options.get((category, name))
        if option is None:
            raise InvalidOption(f"Unable to find GlobalConfig[category: {category}, name: {name}]")
        return option

    def check(self, category: str, name: str, value: str) -> None:
        """Raises InvalidOption unless the option exists and takes the value."""
        option = self.find(category, name)
        option.read(option, value)

    async def change(self, category: str, name: str, value: str) -> Mapping[str, str]:
        """Set an option, and answer its inventory. Raises InvalidOption."""
        self.check(category, name, value)
        option = self.find(category, name)
        async with self._database.transaction() as connection:
            same = (GlobalConfig.category == category, GlobalConfig.name == name)
            await connection.execute(update(GlobalConfig).where(*same).values(value=value))
        self._values[category, name] = value
        self._tell()
        return {
            "name": name,
            "category": category,
            "description": option.description,
            "defaultValue": option.default,
            "value": value,
        }

    async def reset(self) -> None:
        """Give every option its default."""
        async with self._database.transaction() as connection:
            await connection.execute(update(GlobalConfig).values(value=GlobalConfig.defaultValue))
        self._values = {key: option.default for key, option in self._options.items()}
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


COLUMNS = (
    GlobalConfig.category,
    GlobalConfig.name,
    GlobalConfig.description,
    GlobalConfig.defaultValue,
    GlobalConfig.value,
)


def whole_number(at_least: int) -> Read[int]:
    """Reads a whole number with a least value, and complains in ZStack's words (domain 3.6)."""

    def read(option: Option[int], text: str) -> int:
        if WHOLE_NUMBER.fullmatch(text) is None or int(text) not in INTEGERS:
            # The words that follow are those of an exception that has none.
            java = f"is of type java.lang.Integer, the value[{text}] cannot be converted to that type, null"
            raise InvalidOption(f"{_named(option)} {java}")
        number = int(text)
        if number < at_least:
            name = f"Global config[category: {option.category}, name: {option.name}]"
            raise InvalidOption(f"{name} should not less than {at_least}, but got {number}")
        return number

    return read


def boolean(option: Option[bool], text: str) -> bool:
    """Reads `true` or `false`, in any case."""
    if text.lower() not in ("true", "false"):
        raise InvalidOption(f"{_named(option)}'s value[{text}] is not a valid boolean string[true, false].")
    return text.lower() == "true"


def size(option: Option[int], text: str) -> int:
    """Reads bytes written as `512M` or `1G`."""
    found = SIZE.fullmatch(text)
    if found is None:
        raise InvalidOption(
            f"{text} is not a size string; a size string consists of a number ending with suffix B/K/M/G/T or"
            " without suffix; for example, 512M, 1G"
        )
    return int(found[1]) << SHIFTS[found[2].upper()]


def _named(option: Option[T_co]) -> str:
    return f"GlobalConfig[category:{option.category}, name:{option.name}]"
