"""The global configuration: what is in force, what a value may be, and who hears of a change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from new_database import new_database

from imagestore_sim.database import Database
from imagestore_sim.database.global_config import ConfigOption, GlobalConfiguration, InvalidOption
from imagestore_sim.database.global_config_rules import NullPointer
from imagestore_sim.database.zstack_global_config import boolean, integer, size, zstack_options
from rows import rows

INTERVAL = integer("backupStorage", "ping.interval")
RETRY = boolean("backupStorage", "connection.autoReconnectOnError")
ROOM = size("backupStorage", "reservedCapacity")
OPTIONS: tuple[ConfigOption[object], ...] = (INTERVAL, RETRY, ROOM)
RETRY_NAME = "connection.autoReconnectOnError"


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
    """Return the stored rows."""
    return dict(await database.fetch("SELECT name, value FROM GlobalConfigVO WHERE category = 'backupStorage'", ()))


def test_an_unchanged_option_has_its_default(configuration: GlobalConfiguration) -> None:
    assert configuration.get(INTERVAL) == 60
    assert configuration.get(RETRY) is True


async def test_a_change_is_in_force_at_once_and_answers_the_inventory(configuration: GlobalConfiguration) -> None:
    assert await configuration.change("backupStorage", "ping.interval", "5") == {
        "id": 87,
        "name": "ping.interval",
        "category": "backupStorage",
        "description": INTERVAL.description,
        "defaultValue": "60",
        "value": "5",
    }
    assert configuration.get(INTERVAL) == 5


async def test_a_change_outlives_its_node(database: Database, configuration: GlobalConfiguration) -> None:
    for value in ("false", "true", "FALSE"):
        await configuration.change("backupStorage", RETRY_NAME, value)
    later = GlobalConfiguration(database, OPTIONS)
    assert later.get(RETRY) is True
    await later.load()
    assert later.get(RETRY) is False
    assert await values_in(database) == {"ping.interval": "60", RETRY_NAME: "FALSE", "reservedCapacity": "1G"}


async def test_a_reload_takes_over_what_others_have_stored(
    database: Database, configuration: GlobalConfiguration
) -> None:
    other = GlobalConfiguration(database, OPTIONS)
    heard: list[object] = []
    configuration.listen(lambda: heard.append(configuration.get(INTERVAL)))
    await configuration.change("backupStorage", "ping.interval", "5")
    await other.load()
    await other.reset()  # before the first reload: nothing is set any more
    await configuration.reload()
    await other.change("backupStorage", "ping.interval", "7")
    await configuration.reload()
    await configuration.change("backupStorage", "ping.interval", "9")
    await other.reload()
    await other.change("backupStorage", "ping.interval", "7")  # as it was at the last reload
    for _ in range(2):
        await configuration.reload()
    assert heard == [5, 60, 7, 9, 7]
    await other.change("backupStorage", RETRY_NAME, "FALSE")
    await other.change("backupStorage", RETRY_NAME, "TRUE")  # its default, in capital letters
    await configuration.reload()
    assert configuration.text("backupStorage", RETRY_NAME) == "TRUE"


async def test_a_reset_gives_every_option_its_default(database: Database, configuration: GlobalConfiguration) -> None:
    await configuration.change("backupStorage", "ping.interval", "5")
    await configuration.change("backupStorage", "reservedCapacity", "2T")
    await configuration.reset()
    assert (configuration.get(INTERVAL), configuration.get(ROOM)) == (60, 2**30)
    assert await values_in(database) == {"ping.interval": "60", RETRY_NAME: "true", "reservedCapacity": "1G"}


async def test_declarations_of_an_older_node_are_replaced(
    database: Database, configuration: GlobalConfiguration
) -> None:
    await configuration.change("backupStorage", RETRY_NAME, "false")
    newer = replace(INTERVAL, default="30", description="seconds between pings", id=RETRY.id)
    later = GlobalConfiguration(database, (newer, replace(RETRY, default="TRUE", id=INTERVAL.id)))
    await later.load()
    assert (later.get(newer), later.get(RETRY)) == (30, False)
    rows = await database.fetch("SELECT id, description, defaultValue FROM GlobalConfigVO ORDER BY id", ())
    assert rows == [(87, RETRY.description, "TRUE"), (588, "seconds between pings", "30")]


async def test_every_listener_hears_of_a_change_once_it_is_in_force(configuration: GlobalConfiguration) -> None:
    heard: list[int] = []
    for _ in range(2):
        configuration.listen(lambda: heard.append(configuration.get(INTERVAL)))
    await configuration.change("backupStorage", "ping.interval", "5")
    assert heard == [5, 5]


async def test_a_refused_value_is_an_error_and_changes_nothing(
    database: Database, configuration: GlobalConfiguration
) -> None:
    heard: list[None] = []
    configuration.listen(lambda: heard.append(None))
    for category, name in (
        ("backupStorage", "nosuch"),
        ("nosuch", "ping.interval"),
        ("backupStorage", "PING.interval"),
    ):
        with pytest.raises(InvalidOption) as caught:
            await configuration.change(category, name, "1")
        assert str(caught.value) == f"Unable to find GlobalConfig[category: {category}, name: {name}]"
    with pytest.raises(InvalidOption):
        await configuration.change("backupStorage", "ping.interval", "0")
    assert not heard
    assert configuration.get(INTERVAL) == 60
    assert (await values_in(database))["ping.interval"] == "60"


@rows(
    ("option", "value", "meaning"),
    [
        (INTERVAL, "+7", 7),
        (INTERVAL, "007", 7),
        (INTERVAL, "2147483647", 2**31 - 1),
        (integer("backupStorage", "ping.parallelismDegree"), "0", 0),
        (integer("backupStorage", "ping.sleepPeriodAfterFailure"), "-1", -1),
        (RETRY, "true", True),
        (RETRY, "True", True),
        (RETRY, "FALSE", False),
        (ROOM, "512", 512),
        (ROOM, "512B", 512),
        (ROOM, "1k", 2**10),
        (ROOM, "3M", 3 * 2**20),
        (ROOM, "1G", 2**30),
        (ROOM, "2t", 2 * 2**40),
        (ROOM, "1 G", 2**30),
    ],
)
def test_a_value_means_what_it_says(option: ConfigOption[object], value: str, meaning: object) -> None:
    assert option.read(option, value) == meaning


@rows(
    ("option", "value"),
    [
        *((INTERVAL, value) for value in ("", " ", "1.0", "1e3", "0x10", " 5", "5\n", "1_000")),
        *((INTERVAL, value) for value in ("\u0665", "2147483648", "9" * 19, "9" * 5000)),
        *((RETRY, value) for value in ("", "1", "yes", " true", "on")),
        *((ROOM, value) for value in ("", "G", "1.5G", "-1G", "1GB", " 1G", "9" * 30)),
    ],
)
def test_a_value_that_means_nothing_is_refused(option: ConfigOption[object], value: str) -> None:
    with pytest.raises(InvalidOption):
        option.read(option, value)


def test_every_option_takes_its_own_default() -> None:
    for option in zstack_options().values():
        assert option.read(option, option.default) == option.default
    assert len(zstack_options()) == len({option.id for option in zstack_options().values()}) == 711


CANNOT = "cannot be converted to that type, null"
NOT_A_SIZE = "is not a size string; a size string consists of a number ending with suffix B/K/M/G/T or without suffix"


@rows(
    ("category", "name", "value", "text"),
    [
        ("backupStorage", "ping.interval", "0", "Global config[category: backupStorage, name: ping.interval] should not less than 1, but got 0"),
        ("backupStorage", "ping.interval", "soon", f"is of type java.lang.Integer, the value[soon] {CANNOT}"),
        ("backupStorage", "connection.autoReconnectOnError", "perhaps", "'s value[perhaps] is not a valid boolean string[true, false]."),
        ("backupStorage", "reservedCapacity", "1X", f"1X {NOT_A_SIZE}; for example, 512M, 1G"),
        ("backupStorage", "reservedCapacity", "", "Global config[category: backupStorage, name: reservedCapacity] cannot be empty string"),
        ("identity", "session.timeout", "31536001", "name: session.timeout] should not greater than 31536000, but got 31536001"),
        ("identity", "session.timeout", "-1", "name: session.timeout] should not less than 0, but got -1"),
        ("identity", "session.maxConcurrent", "-1", "name: session.maxConcurrent] should not less than 0, but got -1"),
        ("identity", "session.cleanup.interval", "0", "name: session.cleanup.interval] should not less than 1, but got 0"),
        ("identity", "enable.unique.session", "TRUE", "TRUE is not a valid value. Valid values are [true, false]"),
        ("identity", "account.api.control", "nosuch", "no API found for nosuch"),
        ("image", "deletionPolicy", "direct", "direct is not a valid value. Valid values are [Direct, Delay, Never]"),
        ("image", "deletionPolicy", " ", "Global config[category: image, name: deletionPolicy] cannot be empty string"),
        ("image", "expungePeriod", "9223372036854775808", f"is of type java.lang.Long, the value[9223372036854775808] {CANNOT}"),
        ("image", "download.localPath.customFilter", "foo", "foo is not in [blacklist, whitelist]"),
        ("image", "download.localPath.whitelist", "a;/b", "invalid value: a;/b, path must separated by ';' and start with '/'"),
        ("kvm", "vm.createConcurrency", "11", "Global config[category: kvm, name: vm.createConcurrency] must in range of [1, 10]"),
        ("kvm", "reservedCpu", "x", "x is not a number or out of range of a Long type"),
        ("kvm", "reservedMemory", "2T", "Value Global config[category: kvm, name: reservedMemory]  cannot be greater than the 1TB but got 2T"),
        ("kvm", "reservedMemory", "x", "only allows a size string. A size string is a number with suffix 'T/t/G/g/M/m/K/k/B/b' or without suffix, but got x"),
        ("loadBalancer", "httpMode", "x", "httpMode must be in http-keep-alive, http-server-close, http-tunnel, httpclose, forceclose"),
        ("nfsPrimaryStorage", "mount.base", "x", "name: mount.base] must be an absolute path starting with '/'"),
        ("longJob", "longJob.api.timeout", "10799", "long job timeout must be larger than 10800s"),
        ("elaborate", "elimilate.time", "3 months", "3 months is not a valid format string"),
        ("apiTimeout", "org.zstack.header.zone.APICreateZoneMsg", "1m", "api timeout cannot be set smaller than 5m"),
        ("virtualRouter", "ipv4LocalPortRange", "80-90", "can not update ipv4LocalPortRange:[80,90],beacause"),
        ("virtualRouter", "ipv4LocalPortRange", "80", "ipv4LocalPortRange must be this format port-port"),
        ("virtualRouter", "vrouter.password", "-x", "the vrouter password's first character must be a letter or number"),
        ("managementServer", "log.delete.lastModified", "0", "the value cant not be 0"),
        ("upgradeControl", "allowedApiListGrayscaleUpgrading", "x,y", "Failed to find api class name: [x, y]"),
        ("volume", "physical.block.size", "1", "1 is not a valid value. Valid values are [0, 512, 4096]"),
    ],
)  # fmt: skip
def test_each_rule_has_zstacks_words(category: str, name: str, value: str, text: str) -> None:
    option = zstack_options()[category, name]
    with pytest.raises(InvalidOption) as caught:
        option.read(option, value)
    assert text in str(caught.value)


@rows(
    ("category", "name", "limits"),
    [
        ("image", "deletionPolicy", {"validValue": ["Direct", "Delay", "Never"]}),
        ("image", "expungePeriod", {"numberGreaterThanOrEqual": 0, "numberLessThanOrEqual": 2**63 - 1}),
        ("backupStorage", "ping.interval", {"numberGreaterThanOrEqual": 1, "numberLessThanOrEqual": 2**31 - 1}),
        ("identity", "session.timeout", {"numberGreaterThanOrEqual": 0, "numberLessThanOrEqual": 31536000}),
        ("kvm", "vm.createConcurrency", {"numberGreaterThanOrEqual": 1, "numberLessThanOrEqual": 10}),
        ("backupStorage", "reservedCapacity", {}),
        ("apiTimeout", "org.zstack.header.zone.APICreateZoneMsg", None),
    ],
)
def test_the_limits_of_an_option_can_be_queried(category: str, name: str, limits: dict[str, object] | None) -> None:
    assert zstack_options()[category, name].limits() == limits


def test_an_option_that_is_declared_without_rules_cannot_be_asked() -> None:
    limits: Callable[[], object] = zstack_options()["encrypt", "encrypt.driver"].limits
    with pytest.raises(NullPointer):
        limits()
