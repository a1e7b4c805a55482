"""The global configuration: what is in force, what a value may be, and who hears of a change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from new_database import new_database
from simulator.database import Database
from simulator.database.configuration import GlobalConfiguration, InvalidOption, Option, boolean, whole_number

INTERVAL = Option("ping", "interval", "60", "seconds between two pings", whole_number("interval", 1))
RETRY = Option("ping", "retry", "true", "whether to try again", boolean("retry"))
OPTIONS: tuple[Option[object], ...] = (INTERVAL, RETRY)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(str(new_database(tmp_path)))
    yield database
    await database.close()


@pytest.fixture
def configuration(database: Database) -> GlobalConfiguration:
    return GlobalConfiguration(database, OPTIONS)


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
    assert await database.fetch("SELECT category, name, value FROM GlobalConfigVO", ()) == [("ping", "retry", "FALSE")]


async def test_every_listener_hears_of_a_change_once_it_is_in_force(configuration: GlobalConfiguration) -> None:
    heard: list[int] = []
    for _ in range(2):
        configuration.listen(lambda: heard.append(configuration.get(INTERVAL)))
    await configuration.change("ping", "interval", "5")
    assert heard == [5, 5]


@pytest.mark.parametrize(
    ("category", "name", "value", "complaint"),
    [
        ("ping", "nosuch", "1", "no global configuration[category:ping, name:nosuch] found"),
        ("nosuch", "interval", "1", "no global configuration[category:nosuch, name:interval] found"),
        ("ping", "interval", "0", "interval should not less than 1, but got 0"),
        ("ping", "interval", "soon", "interval should be a whole number, but got soon"),
        ("ping", "retry", "perhaps", "retry should be true or false, but got perhaps"),
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
    assert await database.fetch("SELECT * FROM GlobalConfigVO", ()) == []


@pytest.mark.parametrize(
    ("read", "value", "meaning"),
    [
        (whole_number("n", 0), "0", 0),
        (whole_number("n", 0), "+7", 7),
        (whole_number("n", 0), "007", 7),
        (whole_number("n", -1), "-1", -1),
        (whole_number("n", 0), "9" * 18, 10**18 - 1),
        (boolean("b"), "true", True),
        (boolean("b"), "True", True),
        (boolean("b"), "FALSE", False),
    ],
)
def test_a_value_means_what_it_says(read: Callable[[str], object], value: str, meaning: object) -> None:
    assert read(value) == meaning


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (whole_number("n", 0), value)
        for value in ("", " ", "1.0", "1e3", "0x10", " 5", "5\n", "1_000", "\u0665", "9" * 19)
    ]
    + [(boolean("b"), value) for value in ("", "1", "yes", " true", "on")],
)
def test_a_value_that_means_nothing_is_refused(read: Callable[[str], object], value: str) -> None:
    with pytest.raises(ValueError, match="should be"):
        read(value)
