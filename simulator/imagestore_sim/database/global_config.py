"""The global configuration: options declared in the code; the database has them too, with the values in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from sqlalchemy import delete, insert, select, update

from imagestore_sim.database.engine import Database
from imagestore_sim.database.global_config_rules import InvalidOption
from imagestore_sim.database.models import GlobalConfig

__all__ = ["ConfigOption", "GlobalConfiguration", "InvalidOption", "Read"]
T_co = TypeVar("T_co", covariant=True)
Read = Callable[["ConfigOption[T_co]", str], T_co]
Limits = Callable[[], Mapping[str, object] | None]


def _no_limits() -> Mapping[str, object] | None:
    return None


@dataclass(frozen=True)
class ConfigOption(Generic[T_co]):
    """One declared option. `read` turns the text of a value into what it means, or raises InvalidOption.

    `id` is its number in listings; `limits` returns the values that it takes, as clients see them.
    """

    category: str
    name: str
    default: str
    description: str
    read: Read[T_co]
    id: int | None = None
    limits: Limits = _no_limits


class GlobalConfiguration:
    """The values in force of the options that the rooms declare."""

    def __init__(self, database: Database, options: tuple[ConfigOption[object], ...]) -> None:
        self._database = database
        self._options = {(option.category, option.name): option for option in options}
        self._ids = {key: option.id or place for place, (key, option) in enumerate(self._options.items(), 1)}
        self._values: dict[tuple[str, str], str] = {}
        self._listeners: list[Callable[[], None]] = []

    async def load(self) -> None:
        """Read the values, and write what the code declares anew: a default that nobody changed goes with the code."""
        rows = {(row.category, row.name): row for row in await self._database.read(select(*COLUMNS))}
        for key, option in self._options.items():
            row = rows.get(key)
            self._values[key] = option.default if row is None or row.value == row.defaultValue else row.value
        wanted = [self._row(key) for key in self._options]
        if [row._asdict() for row in sorted(rows.values(), key=lambda row: row.id)] != sorted(wanted, key=_by_id):
            async with self._database.transaction() as connection:
                await connection.execute(delete(GlobalConfig))
                await connection.execute(insert(GlobalConfig), wanted)

    def _row(self, key: tuple[str, str]) -> dict[str, object]:
        option = self._options[key]
        return {
            "id": self._ids[key],
            "name": option.name,
            "category": option.category,
            "description": option.description,
            "defaultValue": option.default,
            "value": self._values[key],
        }

    def get(self, option: ConfigOption[T_co]) -> T_co:
        """The value in force."""
        return option.read(option, self._values.get((option.category, option.name), option.default))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change."""
        self._listeners.append(listener)

    def find(self, category: str, name: str) -> ConfigOption[object]:
        """A declared option. Raises InvalidOption."""
        option = self._options.get((category, name))
        if option is None:
            raise InvalidOption(f"Unable to find GlobalConfig[category: {category}, name: {name}]")
        return option

    def check(self, category: str, name: str, value: str) -> None:
        """Raises InvalidOption unless the option exists and takes the value."""
        option = self.find(category, name)
        option.read(option, value)

    async def change(self, category: str, name: str, value: str) -> Mapping[str, object]:
        """Set an option, and answer its inventory. Raises InvalidOption.

        The value that is in force already is not looked at, as in ZStack.
        """
        self.find(category, name)
        if value != self._values.get((category, name)):
            self.check(category, name, value)
            async with self._database.transaction() as connection:
                same = (GlobalConfig.category == category, GlobalConfig.name == name)
                await connection.execute(update(GlobalConfig).where(*same).values(value=value))
            await self._database.after_commit(partial(self._take, {(category, name): value}))
        return self._row((category, name)) | {"value": value}

    async def reset(self) -> None:
        """Give every option its default."""
        await self.replace({})

    async def replace(self, values: Mapping[tuple[str, str], str]) -> None:
        """Give options, by category and name, the values given, and every other one its default. Raises
        InvalidOption."""
        for (category, name), value in values.items():
            self.check(category, name, value)
        async with self._database.transaction() as connection:
            await connection.execute(update(GlobalConfig).values(value=GlobalConfig.defaultValue))
            for (category, name), value in values.items():
                same = (GlobalConfig.category == category, GlobalConfig.name == name)
                await connection.execute(update(GlobalConfig).where(*same).values(value=value))
        defaults = {key: option.default for key, option in self._options.items()}
        await self._database.after_commit(partial(self._take, {**defaults, **values}))

    def _take(self, values: Mapping[tuple[str, str], str]) -> None:
        """Put values in force, and notify the listeners."""
        self._values.update(values)
        for listener in self._listeners:
            listener()


COLUMNS = (
    GlobalConfig.id,
    GlobalConfig.name,
    GlobalConfig.category,
    GlobalConfig.description,
    GlobalConfig.defaultValue,
    GlobalConfig.value,
)


def _by_id(row: Mapping[str, object]) -> int:
    number = row["id"]
    assert isinstance(number, int)
    return number
