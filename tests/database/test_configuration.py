"""The global configuration: what is in force, what a value may be, and who hears of a change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from new_database import new_database
from simulator.database import Database
from simulator.database.configuration import (
    GlobalConfiguration,
    InvalidOption,
    Option,
    Read,
    boolean,
    size,
    whole_number,
)

INTERVAL = Option("ping", "interval", "60", "seconds between two pings", whole_number(at_least=1))
RETRY = Option("ping", "retry", "true", "whether to try again", boolean)
ROOM = Option("ping", "room", "1G", "what is left free", size)
OPTIONS: tuple[Option[object], ...] = (INTERVAL, RETRY, ROOM)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(str(new_database(tmp_path)))
    yield database
    await database.close()


@pytest.fixture
async def configuration(database: Database) -> GlobalConfiguration:
    configuration = GlobalConfiguration(database, OPTIONS)
    await configuration.load()
    return configuration


async def values_in(database: Database) -> dict[str, str]:
    """What the database holds."""
    return dict(await database.fetch("SELECT name, value FROM GlobalConfigVO WHERE category = 'ping'", ()))


def test_what_nobody_changed_has_its_default(configuration: GlobalConfiguration) -> None:
    assert configuration.get(INTERVAL) == 60
    assert configuration.get(RETRY) is True


async def test_a_change_is_in_force_at_once_and_answers_the_inventory(configuration: GlobalConfiguration) -> None:
    assert await configuration.change("ping", "interval", "5") == {
        "name": "interval",
        "category": "ping",
        "description": "seconds between two pings",
        "defaultValue": "60",
        "value": "5",
    }
    assert configuration.get(INTERVAL) == 5


async def test_a_change_outlives_its_node(database: Database, configuration: GlobalConfiguration) -> None:
    for value in ("false", "true", "FALSE"):
        await configuration.change("ping", "retry", value)
    later = GlobalConfiguration(database, OPTIONS)
    assert later.get(RETRY) is True
    await later.load()
    assert later.get(RETRY) is False
    assert await values_in(database) == {"interval": "60", "retry": "FALSE", "room": "1G"}


async def test_a_reset_gives_every_option_its_default(database: Database, configuration: GlobalConfiguration) -> None:
    await configuration.change("ping", "interval", "5")
    await configuration.change("ping", "room", "2T")
    await configuration.reset()
    assert (configuration.get(INTERVAL), configuration.get(ROOM)) == (60, 2**30)
    assert await values_in(database) == {"interval": "60", "retry": "true", "room": "1G"}


async def test_a_default_that_nobody_changed_goes_with_the_code(
    database: Database, configuration: GlobalConfiguration
) -> None:
    await configuration.change("ping", "retry", "false")
    newer = Option("ping", "interval", "30", "seconds between pings", whole_number(at_least=1))
    later = GlobalConfiguration(database, (newer, replace(RETRY, default="TRUE")))
    await later.load()
    assert (later.get(newer), later.get(RETRY)) == (30, False)
    rows = await database.fetch("SELECT description, defaultValue FROM GlobalConfigVO WHERE name = 'interval'", ())
    assert rows == [("seconds between pings", "30")]


async def test_every_listener_hears_of_a_change_once_it_is_in_force(configuration: GlobalConfiguration) -> None:
    heard: list[int] = []
    for _ in range(2):
        configuration.listen(lambda: heard.append(configuration.get(INTERVAL)))
    await configuration.change("ping", "interval", "5")
    assert heard == [5, 5]


@pytest.mark.parametrize(
    ("category", "name", "value", "complaint"),
    [
        ("ping", "nosuch", "1", "Unable to find GlobalConfig[category: ping, name: nosuch]"),
        ("nosuch", "interval", "1", "Unable to find GlobalConfig[category: nosuch, name: interval]"),
        (
            "ping",
            "interval",
            "0",
            "Global config[category: ping, name: interval] should not less than 1, but got 0",
        ),
        (
            "ping",
            "interval",
            "soon",
            "GlobalConfig[category:ping, name:interval] is of type java.lang.Integer,"
            " the value[soon] cannot be converted to that type, null",
        ),
        (
            "ping",
            "retry",
            "perhaps",
            "GlobalConfig[category:ping, name:retry]'s value[perhaps] is not a valid boolean string[true, false].",
        ),
        (
            "ping",
            "room",
            "1X",
            "1X is not a size string; a size string consists of a number ending with suffix B/K/M/G/T or"
            " without suffix; for example, 512M, 1G",
        ),
    ],
)
async def test_what_is_refused_is_told_and_changes_nothing(
    database: Database, configuration: GlobalConfiguration, category: str, name: str, value: str, complaint: str
) -> None:
    heard: list[None] = []
    configuration.listen(lambda: heard.append(None))
    with pytest.raises(InvalidOption) as caught:
        configuration.check(category, name, value)
    assert str(caught.value) == complaint
    with pytest.raises(InvalidOption) as caught:
        await configuration.change(category, name, value)
    assert str(caught.value) == complaint
    assert heard == []
    assert await values_in(database) == {"interval": "60", "retry": "true", "room": "1G"}


@pytest.mark.parametrize(
    ("read", "value", "meaning"),
    [
        (whole_number(at_least=0), "0", 0),
        (whole_number(at_least=0), "+7", 7),
        (whole_number(at_least=0), "007", 7),
        (whole_number(at_least=-1), "-1", -1),
        (whole_number(at_least=0), "2147483647", 2**31 - 1),
        (boolean, "true", True),
        (boolean, "True", True),
        (boolean, "FALSE", False),
        (size, "512", 512),
        (size, "512B", 512),
        (size, "1k", 2**10),
        (size, "3M", 3 * 2**20),
        (size, "1G", 2**30),
        (size, "2t", 2 * 2**40),
    ],
)
def test_a_value_means_what_it_says(read: Read[object], value: str, meaning: object) -> None:
    assert read(INTERVAL, value) == meaning


@pytest.mark.parametrize(
    ("read", "value"),
    [
        *((whole_number(at_least=0), value) for value in ("", " ", "1.0", "1e3", "0x10", " 5", "5\n", "1_000")),
        *((whole_number(at_least=0), value) for value in ("\u0665", "2147483648", "9" * 19)),
        *((boolean, value) for value in ("", "1", "yes", " true", "on")),
        *((size, value) for value in ("", "G", "1.5G", "-1G", "1GB", " 1G")),
    ],
)
def test_a_value_that_means_nothing_is_refused(read: Read[object], value: str) -> None:
    with pytest.raises(InvalidOption):
        read(INTERVAL, value)
