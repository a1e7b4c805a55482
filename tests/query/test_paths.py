"""Dotted names of conditions, resolved over expansions (query-semantics 4)."""

from __future__ import annotations

import pytest

from imagestore_sim.query import BACKUP_STORAGE, IMAGE, IMAGE_STORE_BACKUP_STORAGE, ZONE, Inventory, QueryError
from imagestore_sim.query.paths import MOST_STEPS, has_field, resolve
from rows import rows

RUNTIME = "org.zstack.header.exception.CloudRuntimeException: "


@rows(
    ("inventory", "name", "steps", "end"),
    [
        (BACKUP_STORAGE, "name", [], "BackupStorageInventory.name"),
        (IMAGE_STORE_BACKUP_STORAGE, "hostname", [], "ImageStoreBackupStorageInventory.hostname"),
        (BACKUP_STORAGE, "attachedZoneUuids", [], "BackupStorageInventory.attachedZoneUuids"),
        (BACKUP_STORAGE, "zone.name", ["BackupStorageZoneRef", "Zone"], "ZoneInventory.name"),
        (BACKUP_STORAGE, "zoneRef.zone.name", ["BackupStorageZoneRef", "Zone"], "ZoneInventory.name"),
        (BACKUP_STORAGE, "image.state", ["ImageBackupStorageRef", "Image"], "ImageInventory.state"),
        (BACKUP_STORAGE, "zone.__userTag__", ["BackupStorageZoneRef", "Zone"], "ZoneInventory.__userTag__"),
        (
            BACKUP_STORAGE,
            "zone.backupStorage.attachedZoneUuids",
            ["BackupStorageZoneRef", "Zone", "BackupStorageZoneRef", "BackupStorage"],
            "BackupStorageInventory.attachedZoneUuids",
        ),
        (ZONE, "backupStorage.status", ["BackupStorageZoneRef", "BackupStorage"], "BackupStorageInventory.status"),
        (IMAGE, "backupStorage.name", ["ImageBackupStorageRef", "BackupStorage"], "BackupStorageInventory.name"),
        # The last step is left out where it would only compare the key that it joins by
        (BACKUP_STORAGE, "zone.uuid", ["BackupStorageZoneRef"], "BackupStorageZoneRefInventory.zoneUuid"),
        (BACKUP_STORAGE, "zoneRef.backupStorageUuid", [], "BackupStorageInventory.uuid"),
        (BACKUP_STORAGE, "zoneRef.zoneUuid", ["BackupStorageZoneRef"], "BackupStorageZoneRefInventory.zoneUuid"),
        (ZONE, "backupStorageRef.zoneUuid", [], "ZoneInventory.uuid"),
    ],
)
def test_a_path_has_these_steps(inventory: Inventory, name: str, steps: list[str], end: str) -> None:
    path = resolve(inventory, name)
    assert [step.inventory for step in path.steps] == [f"{one}Inventory" for one in steps]
    assert path.inventory is not None
    assert f"{path.inventory.name}.{path.name}" == end


@rows("name", ["volumeSnapshot.name", "volumeSnapshotRef.installPath", "zone.cluster.name", "zone.host.managementIp"])
def test_what_is_not_emulated_has_no_rows(name: str) -> None:
    assert resolve(BACKUP_STORAGE, name).inventory is None


@rows(
    ("inventory", "name", "java_class", "field"),
    [
        (BACKUP_STORAGE, "hostname", "org.zstack.header.storage.backup.BackupStorageInventory", "hostname"),
        (BACKUP_STORAGE, "Name", "org.zstack.header.storage.backup.BackupStorageInventory", "Name"),
        (BACKUP_STORAGE, "zone", "org.zstack.header.storage.backup.BackupStorageInventory", "zone"),
        (BACKUP_STORAGE, "zone.foo", "org.zstack.header.zone.ZoneInventory", "foo"),
        (BACKUP_STORAGE, "zone.attachedZoneUuids", "org.zstack.header.zone.ZoneInventory", "attachedZoneUuids"),
        (BACKUP_STORAGE, "imageRef.id", "org.zstack.header.image.ImageBackupStorageRefInventory", "id"),
        (ZONE, "backupStorage.hostname", "org.zstack.header.storage.backup.BackupStorageInventory", "hostname"),
        (
            IMAGE_STORE_BACKUP_STORAGE,
            "password",
            "org.zstack.storage.backup.imagestore.ImageStoreBackupStorageInventory",
            "password",
        ),
    ],
)
def test_the_error_of_an_unknown_field_names_the_class(
    inventory: Inventory, name: str, java_class: str, field: str
) -> None:
    with pytest.raises(QueryError) as refused:
        resolve(inventory, name)
    assert refused.value.details == f"{RUNTIME}inventory class[class {java_class}] not having field[{field}]"


@rows(
    ("name", "rest", "owner", "step"),
    [
        ("foo.name", "", "storage.backup.BackupStorage", "foo"),
        ("foo.bar.name", "bar", "storage.backup.BackupStorage", "foo"),
        ("foo.bar.baz.name", "bar.baz", "storage.backup.BackupStorage", "foo"),
        ("attachedZoneUuids.uuid", "", "storage.backup.BackupStorage", "attachedZoneUuids"),
        ("volume.name", "", "storage.backup.BackupStorage", "volume"),
        ("backupStorageRef.zoneUuid", "", "storage.backup.BackupStorage", "backupStorageRef"),
        ("zone.foo.name", "", "zone.Zone", "foo"),
        ("zone.foo.bar.name", "bar", "zone.Zone", "foo"),
        ("zone.image.name", "", "zone.Zone", "image"),
    ],
)
def test_the_error_of_an_unknown_step_names_the_rest_of_the_path(name: str, rest: str, owner: str, step: str) -> None:
    with pytest.raises(QueryError) as refused:
        resolve(BACKUP_STORAGE, name)
    where = f"class org.zstack.header.{owner}Inventory"
    assert refused.value.details == (
        f"{RUNTIME}invalid nested query condition[{rest}] on {where},"
        f"the expanded target[{where}] have no expanded query[{step}]"
    )


def test_a_path_of_too_many_steps_is_refused() -> None:
    resolve(BACKUP_STORAGE, "zone.backupStorage." * (MOST_STEPS // 4) + "name")
    with pytest.raises(QueryError, match="SQLGrammarException"):
        resolve(BACKUP_STORAGE, "zone.backupStorage." * (MOST_STEPS // 4 + 1) + "name")


@rows("name", ["uuid", "attachedZoneUuids", "__userTag__", "__systemTag__", "__tagUuid__"])
def test_a_storage_has_these_fields(name: str) -> None:
    assert has_field(BACKUP_STORAGE, name)


@rows("name", ["UUID", "password", "resourceName", "zone", "zoneRef", "__usertag__", ""])
def test_a_storage_has_no_such_fields(name: str) -> None:
    assert not has_field(BACKUP_STORAGE, name)
