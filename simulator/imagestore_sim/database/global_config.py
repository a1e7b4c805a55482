"""The global configuration: options are declared in the code, and the database holds their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.database.engine import Database
from imagestore_sim.database.global_config_rules import InvalidOption
from imagestore_sim.database.locks import lock
from imagestore_sim.database.models import GlobalConfig
from imagestore_sim.database.schema import OPTION_COLUMNS, OptionRow

__all__ = ["ConfigOption", "GlobalConfiguration", "InvalidOption", "Read", "default_rows"]
_OPTIONS = f"SELECT {', '.join(column.key for column in OPTION_COLUMNS)} FROM {GlobalConfig.__tablename__}"  # noqa: S608 - a constant
_STORED = f"{_OPTIONS} ORDER BY id"
_SET = f"{_OPTIONS} WHERE hex(value) <> hex(defaultValue) ORDER BY id"
"""Those that have another value than their default, byte by byte: a MariaDB takes texts for equal that are not."""
_SET_IN_SQLITE = f"{_OPTIONS} WHERE value <> defaultValue ORDER BY id"
"""The same: SQLite compares texts by their bytes, in a quarter of the time."""
T_co = TypeVar("T_co", covariant=True)
Read = Callable[["ConfigOption[T_co]", str], T_co]
Key = tuple[str, str]
"""Category and name of an option."""
Limits = Callable[[], Mapping[str, object] | None]


def _no_limits() -> Mapping[str, object] | None:
    return None


@dataclass(frozen=True, eq=False)
class ConfigOption(Generic[T_co]):
    """A declared option.

    `read` converts the text of a value, or raises InvalidOption. `id` is the number in listings. `limits` returns the
    values that the option takes, in the form of ZStack's GlobalConfigOptions; None when ZStack gives none. `ours` is an
    option that ZStack does not have: listings have it only while its value is not the default.
    """

    category: str
    name: str
    default: str
    description: str
    read: Read[T_co]
    id: int | None = None
    limits: Limits = _no_limits
    ours: bool = False
    binds: tuple[str, ...] = ()
    """The types of resources for which the option may have a value of its own."""


class GlobalConfiguration:
    """The declared options and their values; reads come from memory, changes go to the database first."""

    def __init__(self, database: Database, options: tuple[ConfigOption[object], ...]) -> None:
        self._database = database
        self._options = {(option.category, option.name): option for option in options}
        self._ids = {key: option.id or place for place, (key, option) in enumerate(self._options.items(), 1)}
        self._default_rows = default_rows(options)
        self._values: dict[Key, str] = {}
        self._reloaded: list[tuple[Any, ...]] | None = None
        """The rows of the options that are set, if the values are those of the last `reload`."""
        self._listeners: list[Callable[[], None]] = []
        self._set = _SET_IN_SQLITE if database.dialect.name == "sqlite" else _SET

    async def load(self) -> None:
        """Read the stored values, and bring the stored declarations up to date with the code.

        A value that equals the stored default follows a default that has changed in the code.
        """
        found = await self._database.fetch(_STORED, ())
        if found == list(self._default_rows):  # as in a new database
            self._values = {key: option.default for key, option in self._options.items()}
            return
        self._values = self._values_in(found)
        expected = [self._row(key) for key in self._options if self._is_listed(key, self._values[key])]
        if found != sorted(tuple(row.values()) for row in expected):
            async with self._database.transaction() as connection:
                await connection.execute(delete(GlobalConfig))
                await connection.execute(insert(GlobalConfig), expected)

    async def reload(self) -> None:
        """Take over the values that other nodes have stored; call the listeners if that changes one.

        That comes after each change of the store: of hundreds of options it reads the few that are set.
        """
        found = await self._database.fetch(self._set, ())
        if found != self._reloaded:
            values = self._values_in(found)
            if values != self._values:
                self._take(values)
            self._reloaded = found

    def _values_in(self, rows: list[tuple[Any, ...]]) -> dict[Key, str]:
        """Return the values of all options in stored rows. One that is the stored default follows the code's."""
        stored = {(category, name): (default, value) for _, name, category, _, default, value in rows}
        values = {}
        for key, option in self._options.items():
            default, value = stored.get(key, ("", ""))
            values[key] = option.default if value == default else value
        return values

    def _is_listed(self, key: Key, value: str) -> bool:
        option = self._options[key]
        return not option.ours or value != option.default

    async def _write(self, connection: AsyncConnection, key: Key, value: str) -> None:
        category, name = key
        same = (GlobalConfig.category == category, GlobalConfig.name == name)
        if not self._options[key].ours:
            await connection.execute(update(GlobalConfig).where(*same).values(value=value))
            return
        # Two nodes that set it may both find no row of it: they wait for each other at a row that is always there.
        await lock(connection, select(GlobalConfig.id).order_by(GlobalConfig.id).limit(1))
        await connection.execute(delete(GlobalConfig).where(*same))
        if self._is_listed(key, value):
            await connection.execute(insert(GlobalConfig), self._row(key) | {"value": value})

    def _row(self, key: Key) -> dict[str, object]:
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
        """Return the current value, converted by the option's `read`."""
        return option.read(option, self._values.get((option.category, option.name), option.default))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every committed change."""
        self._listeners.append(listener)

    def find(self, category: str, name: str) -> ConfigOption[object]:
        """Return a declared option. Raise InvalidOption for an unknown name."""
        option = self._options.get((category, name))
        if option is None:
            raise InvalidOption(f"Unable to find GlobalConfig[category: {category}, name: {name}]")
        return option

    def bindable(self, category: str | None) -> list[ConfigOption[object]]:
        """Return the options, of one category or of all, that may have values of their own for resources."""
        return [one for one in self._options.values() if one.binds and category in (None, one.category)]

    def text(self, category: str, name: str) -> str:
        """Return the current value of an option as text. Raise InvalidOption for an unknown name."""
        return self._values.get((category, name), self.find(category, name).default)

    def check(self, category: str, name: str, value: str) -> None:
        """Raise InvalidOption unless the option exists and takes the value."""
        option = self.find(category, name)
        option.read(option, value)

    async def change(self, category: str, name: str, value: str) -> Mapping[str, object]:
        """Set an option, and return its inventory. Raise InvalidOption.

        Like ZStack, accept the current value without checking it.
        """
        self.find(category, name)
        if value != self._values.get((category, name)):
            self.check(category, name, value)
            async with self._database.transaction() as connection:
                await self._write(connection, (category, name), value)
            await self._database.after_commit(partial(self._take, {(category, name): value}))
        return self._row((category, name)) | {"value": value}

    async def reset(self) -> None:
        """Set every option to its default."""
        await self.replace({})

    async def replace(self, values: Mapping[Key, str]) -> None:
        """Set options to `values`, by (category, name), and all others to their defaults. Raise InvalidOption."""
        for (category, name), value in values.items():
            self.check(category, name, value)
        async with self._database.transaction() as connection:
            reset = update(GlobalConfig).values(value=GlobalConfig.defaultValue)
            if not self._database.is_shared:  # a MariaDB may take texts for equal that are not
                reset = reset.where(GlobalConfig.value != GlobalConfig.defaultValue)
            await connection.execute(reset)
            for key, option in self._options.items():
                if option.ours:
                    await self._write(connection, key, option.default)
            for key, value in values.items():
                await self._write(connection, key, value)
        defaults = {key: option.default for key, option in self._options.items()}
        await self._database.after_commit(partial(self._take, {**defaults, **values}))

    def _take(self, values: Mapping[Key, str]) -> None:
        """Take over committed values, and call the listeners."""
        self._values.update(values)
        self._reloaded = None
        for listener in self._listeners:
            listener()


@lru_cache(maxsize=4)
def default_rows(options: tuple[ConfigOption[object], ...]) -> tuple[OptionRow, ...]:
    """Return the rows of all options with their defaults, by id, for a new database.

    The same options get the same tuple.
    """
    rows = (
        (option.id or place, option.name, option.category, option.description, option.default, option.default)
        for place, option in enumerate(options, 1)
        if not option.ours
    )
    return tuple(sorted(rows))
