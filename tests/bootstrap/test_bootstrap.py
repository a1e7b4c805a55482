"""The bootstrap file: what it makes, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagestore_sim.bootstrap import Bootstrap, BootstrapError, parse_bootstrap, read_bootstrap
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

GOOD = """\
zones:
  - {uuid: a1000000000000000000000000000001, name: Zone1, state: Enabled, isDefault: true}
backupStorages:
  - {uuid: b1000000000000000000000000000001, name: imagestore-1, description: first, type: ImageStoreBackupStorage,
     hostname: 10.0.0.1, username: root, password: 007, sshPort: 22, url: /zs/1, totalCapacity: 1000,
     availableCapacity: 100, state: Enabled, status: Connected, createDate: 2017-11-14 22:20:57,
     attachedZoneUuids: [a1000000000000000000000000000001], systemTags: [remote], userTags: [gold], tracked: false}
  - {uuid: 10000000000000000000000000000001, name: imagestore-2, hostname: 10.0.0.2, url: /zs/2, status: Disconnected,
     tracked: false}
images:
  - {uuid: c1000000000000000000000000000001, name: img1, state: Enabled,
     backupStorageRefs: [{backupStorageUuid: b1000000000000000000000000000001, status: Ready, installPath: "zstore://img1/1"}]}
accounts:   [{name: test, password: password}]
accessKeys: [{accessKeyId: vvSZpmj4cnB53qUDmm6E, accessKeySecret: example-secret, account: admin}]
globalConfig: {backupStorage: {ping.interval: 5}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bootstrap.yaml"


async def test_fixed_records_stand_exactly_as_written_at_every_start(file: Path, tmp_path: Path) -> None:
    file.write_text(GOOD)
    settings = Settings(port=0, database=str(tmp_path / "node.db"), bootstrap=file)
    for _ in range(2):
        node = ManagementNode(settings)
        await node.start()
        async with Client(node.url) as client:
            await client.log_in("test", "password")
            storages = await client.query("/backup-storage/image-store")
        await node.stop()
        assert [storage["name"] for storage in storages] == ["imagestore-2", "imagestore-1"]
        assert storages[0]["status"] == "Disconnected"
        assert storages[1] == {
            "hostname": "10.0.0.1",
            "username": "root",
            "sshPort": 22,
            "uuid": "b1000000000000000000000000000001",
            "name": "imagestore-1",
            "url": "/zs/1",
            "description": "first",
            "totalCapacity": 1000,
            "availableCapacity": 100,
            "type": "ImageStoreBackupStorage",
            "state": "Enabled",
            "status": "Connected",
            "createDate": "Nov 14, 2017 10:20:57 PM",
            "lastOpDate": "Nov 14, 2017 10:20:57 PM",
            "attachedZoneUuids": ["a1000000000000000000000000000001"],
        }


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("zones:", "zonse:", "line 1: zonse: there is no such field; did you mean zones?"),
        ("name: Zone1", "nmae: Zone1", "line 2: zones.1.nmae: there is no such field; did you mean name?"),
        ("isDefault: true", "isDefault: maybe", "line 2: zones.1.isDefault: expected true or false"),
        (
            "sshPort: 22",
            "sshPort: 70000",
            "line 5: backupStorages.1.sshPort: expected 65535 or less",
        ),
        ("hostname: 10.0.0.1", "hostname: lab_1", "line 5: backupStorages.1.hostname: hostname[lab_1] is neither"),
        ("hostname: 10.0.0.2", "hostname: 10.0.0.1", "line 8: backupStorages.2.hostname: 10.0.0.1 stands there twice"),
        ("url: /zs/2", "url: zs/2", "line 8: backupStorages.2.url: absolute file path required: zs/2"),
        ("availableCapacity: 100", "availableCapacity: 1001", "availableCapacity: is more than totalCapacity"),
        ("2017-11-14 22:20:57", "yesterday", "line 6: backupStorages.1.createDate: expected a date and time, such as"),
        (
            "attachedZoneUuids: [a1",
            "attachedZoneUuids: [a2",
            "line 7: backupStorages.1.attachedZoneUuids.1: no zone has the uuid a2000000000000000000000000000001",
        ),
        (
            "backupStorageUuid: b1",
            "backupStorageUuid: b2",
            "line 12: images.1.backupStorageRefs.1.backupStorageUuid: no backup storage has the uuid",
        ),
        (
            "{name: test, password: password}",
            "{name: test, password: p, users: [{name: a, password: b}, {name: a, password: c}]}",
            "line 13: accounts.1.users.2.name: a stands there twice",
        ),
        ("images:", "images: [", "line 11, column 3: not valid YAML: "),
        ("images:", "zones: []\nimages:", ", column 1: zones is given twice"),
        ("{name: test, password: password}", "{name: a, password: p, name: b}", "column 37: name is given twice"),
    ],
)
def test_an_error_in_a_file_has_line_and_field(file: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(BootstrapError) as caught:
        read_bootstrap(file)
    assert str(caught.value).startswith(f"{file}, line ")
    assert complaint in str(caught.value)


@rows(
    ("text", "complaint"),
    [
        ("zones:", "zones: expected a list"),
        ("zones: {name: a}", "zones: expected a list"),
        ("zones: [a]", "zones.1: expected a mapping with uuid, name, description, "),
        ("- name: a", "the file: expected a mapping with zones, backupStorages, "),
        ("zones: [{name: a, state: enabled}]", "zones.1.state: expected Enabled or Disabled (did you mean Enabled?)"),
        ("zones: [{name: a, uuid: b}]", "zones.1.uuid: expected a uuid: 32 characters of 0-9 and a-f"),
        ("zones: [{name: a, nosuchthing: b}]", "zones.1.nosuchthing: there is no such field; expected uuid, name, "),
        ("zones: [{name: a, systemTags: [{tga: b}]}]", "systemTags.1.tga: there is no such field; did you mean tag?"),
        ("zones: [{name: a, userTags: [{tag: b, tagPatternUuid: c}]}]", "userTags.1.tagPatternUuid: expected a uuid"),
        (
            "backupStorages: [{name: a, hostnam: b, url: /zs}]",
            "1.hostnam: there is no such field; did you mean hostname?",
        ),
        (
            "backupStorages: [{name: a, hostname: b, url: /zs, password: {seald: c}}]",
            "backupStorages.1.password.seald: there is no such field; did you mean sealed?",
        ),
        ("backupStorages: [{name: a, hostname: b, url: /zs, password: [c]}]", "password: expected a text"),
        ("images: [{name: a, size: 1 GiB}]", "images.1.size: expected a whole number"),
        ("imageSources: [{url: '', size: 1}]", "imageSources.1.url: expected a text that is not empty"),
        ("accounts: [{name: a, password: b, users: {c: d}}]", "accounts.1.users: expected a list"),
        (
            "accounts: [{name: a, password: b, quotas: {image.nmu: 5}}]",
            "accounts.1.quotas.image.nmu: there is no such name; did you mean image.num?",
        ),
        (
            "globalConfig: {backupStorage: {ping.intervall: 5}}",
            "globalConfig.backupStorage.ping.intervall: there is no such option; did you mean ping.interval?",
        ),
        (
            "globalConfig: {backupStorag: {ping.interval: 5}}",
            "globalConfig.backupStorag: there is no such category of options; did you mean backupStorage?",
        ),
    ],
)
def test_an_error_is_in_words_and_names_the_field_that_may_be_meant(text: str, complaint: str) -> None:
    with pytest.raises(BootstrapError) as caught:
        parse_bootstrap(text.encode(), "file")
    assert str(caught.value).startswith("file, line 1: ")
    assert complaint in str(caught.value)


ONE, ADMIN = "1" * 32, "36c27e8ff05c4780bf6d2fa65700f22e"
OF_EACH_TYPE = {
    "zones.1": "zones: [{{name: a, uuid: {0}}}]",
    "backupStorages.1": "backupStorages: [{{name: a, hostname: b, url: /zs, tracked: false, uuid: {0}}}]",
    "images.1": "images: [{{name: a, uuid: {0}}}]",
    "accounts.1": "accounts: [{{name: a, password: b, uuid: {0}}}]",
    "accounts.1.users.1": "accounts: [{{name: b, password: b, users: [{{name: c, password: d, uuid: {0}}}]}}]",
    "accounts.1.groups.1": "accounts: [{{name: c, password: b, groups: [{{name: c, uuid: {0}}}]}}]",
    "accounts.1.policies.1": "accounts: [{{name: d, password: b, policies: [{{name: c, uuid: {0}}}]}}]",
    "accounts.1.roles.1": "accounts: [{{name: e, password: b, roles: [{{name: c, uuid: {0}}}]}}]",
    "tags.1": "tags: [{{name: a, value: b, uuid: {0}}}]",
    "accessKeys.1": "accessKeys: [{{accessKeyId: a, accessKeySecret: b, uuid: {0}}}]",
    "webHooks.1": "webHooks: [{{name: a, url: 'http://b', type: c, uuid: {0}}}]",
}
"""A record of each type of resource with a uuid of its own, by its place."""


@rows(("place", "text"), list(OF_EACH_TYPE.items())[1:])
def test_a_uuid_is_that_of_one_resource_of_any_type(place: str, text: str) -> None:
    both = f"{OF_EACH_TYPE['zones.1']}\n{text}"
    with pytest.raises(BootstrapError) as caught:
        parse_bootstrap(both.format(ONE).encode(), "file")
    assert str(caught.value) == f"file, line 2: {place}.uuid: {ONE} stands there twice"


@rows(("place", "text"), OF_EACH_TYPE.items())
def test_the_uuid_of_the_account_admin_is_taken(place: str, text: str) -> None:
    with pytest.raises(BootstrapError) as caught:
        parse_bootstrap(text.format(ADMIN).encode(), "file")
    assert str(caught.value) == f"file, line 1: {place}.uuid: is that of admin"


def test_the_second_default_zone_is_refused() -> None:
    text = "zones:\n  - {name: a, isDefault: true}\n  - {name: b}\n  - {name: c, isDefault: true}\n"
    with pytest.raises(BootstrapError) as caught:
        parse_bootstrap(text.encode(), "file")
    complaint = "zones.1 is the default zone already, and there is only one"
    assert str(caught.value) == f"file, line 4: zones.3.isDefault: {complaint}"


def test_a_missing_file_is_an_error(file: Path) -> None:
    with pytest.raises(BootstrapError, match="cannot be read: No such file or directory"):
        read_bootstrap(file)


def test_a_file_that_is_not_text_is_an_error(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BootstrapError, match="is not UTF-8 text"):
        read_bootstrap(file)


def test_an_empty_file_holds_no_records(file: Path) -> None:
    file.write_text("")
    assert read_bootstrap(file) == Bootstrap()


@rows(
    ("records", "complaint"),
    [
        ("globalConfig: {backupStorage: {ping.intervall: 5}}", "ping.intervall"),
        ("globalConfig: {backupStorage: {ping.interval: 0}}", "ping.interval. should not less than 1, but got 0"),
        (
            "accessKeys: [{accessKeyId: a, accessKeySecret: b, account: nobody}]",
            "yaml, line 2: accessKeys.1.account: no account has the name nobody",
        ),
    ],
)
async def test_a_file_that_is_refused_late_changes_nothing(
    file: Path, tmp_path: Path, records: str, complaint: str
) -> None:
    settings = Settings(port=0, database=str(tmp_path / "node.db"))
    file.write_text(f"zones: [{{name: Zone1}}]\n{records}\n")
    with pytest.raises(BootstrapError, match=complaint):
        await ManagementNode(settings.model_copy(update={"bootstrap": file})).start()
    node = ManagementNode(settings)
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        assert await client.query("/zones") == []
    await node.stop()


def test_no_secret_shows_in_a_record_s_repr(file: Path) -> None:
    file.write_text(GOOD)
    text = repr(read_bootstrap(file))
    assert "007" not in text
    assert "example-secret" not in text


def test_a_value_can_come_from_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLD_PASSWORD", 'a: "${b}" #')
    file.write_text("backupStorages:\n  - {name: gold, hostname: h, url: /zs, password: !env GOLD_PASSWORD}\n")
    [storage] = read_bootstrap(file).backupStorages
    assert storage.password == 'a: "${b}" #'


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("!env NO_SUCH", "line 2, column 12: no variable NO_SUCH is set, which !env asks for"),
        ('!env ""', "line 2, column 12: !env needs the name of a variable"),
        ("!env [A]", "line 2, column 12: !env needs the name of a variable"),
        ("!other A", "line 2, column 12: not valid YAML: could not determine a constructor for the tag '!other'"),
    ],
)
def test_an_unset_variable_is_an_error_with_its_place(
    file: Path, monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    file.write_text(f"zones:\n  - {{name: {value}}}\n")
    with pytest.raises(BootstrapError) as caught:
        read_bootstrap(file)
    assert str(caught.value) == f"{file}, {complaint}"


OTHER_TYPES = """\
backupStorages:
  - {name: sftp-1, type: SftpBackupStorage, hostname: h-1, url: /a}
  - {name: sim-1, type: SimulatorBackupStorage, url: anything, totalCapacity: 10, availableCapacity: 5}
images:
  - {name: img1, format: raw, platform: Linux, systemTags: [qemuga], userTags: [gold], backupStorageRefs: []}
"""


async def test_storages_of_every_type_and_all_of_an_image_can_be_given(file: Path, tmp_path: Path) -> None:
    file.write_text(OTHER_TYPES)
    node = ManagementNode(Settings(port=0, database=str(tmp_path / "node.db"), bootstrap=file), resolve=_nowhere)
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        [sftp] = await client.query("/backup-storage/sftp")
        [simulator] = await client.query("/backup-storage", "type=SimulatorBackupStorage")
        [image] = await client.query("/images", "__systemTag__=qemuga", "__userTag__=gold")
    await node.stop()
    # The one with a host is tracked, and its host does not answer.
    assert (sftp["hostname"], sftp["status"], sftp["totalCapacity"]) == ("h-1", "Disconnected", 0)
    assert (simulator["status"], simulator["totalCapacity"]) == ("Connected", 10)
    assert (image["format"], image["platform"], image["mediaType"]) == ("raw", "Linux", "RootVolumeTemplate")


async def _nowhere(hostname: str, port: int) -> tuple[str, int]:
    raise OSError(f"{hostname} is nowhere")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("hostname: h-1, ", "", "line 2: backupStorages.1.hostname: is required"),
        ("url: /a", "url: a", "line 2: backupStorages.1.url: invalid url[a], the url must be an absolute path"),
        ("url: any", "hostname: h-2, url: any", "line 3: backupStorages.2.hostname: a SimulatorBackupStorage has no"),
        ("SftpBackupStorage", "Ceph", "line 2: backupStorages.1.type: expected ImageStoreBackupStorage, "),
    ],
)
def test_each_type_has_rules_of_its_own(file: Path, old: str, new: str, complaint: str) -> None:
    file.write_text(OTHER_TYPES.replace(old, new, 1))
    with pytest.raises(BootstrapError) as caught:
        read_bootstrap(file)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("hostname", ["::1", "fe80::1%lo", "2001:db8::17"])
async def test_a_host_may_have_an_ipv6_address_which_the_api_refuses(tmp_path: Path, hostname: str) -> None:
    file = tmp_path / "records.yaml"
    file.write_text(f"backupStorages:\n  - {{name: six, hostname: '{hostname}', url: /zs, password: x, sshPort: 9}}\n")
    asked: list[tuple[str, int]] = []

    async def nowhere(name: str, port: int) -> tuple[str, int]:
        asked.append((name, port))
        raise OSError(f"{name} is nowhere")

    node = ManagementNode(Settings(port=0, database=str(tmp_path / "n.db"), bootstrap=file), resolve=nowhere)
    await node.start()
    async with Client(node.url) as client:
        await client.log_in()
        [storage] = await client.query("/backup-storage/image-store")
    await node.stop()
    assert (storage["hostname"], storage["status"]) == (hostname, "Disconnected")
    assert asked == [(hostname, 9)]
