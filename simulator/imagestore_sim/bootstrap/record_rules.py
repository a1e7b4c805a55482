"""Rules of a bootstrap file that the types of its fields cannot express: addresses, references, uniqueness."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from imagestore_sim.backup_storage.address_rules import check_hostname, check_url
from imagestore_sim.backup_storage.errors import InvalidRequest
from imagestore_sim.backup_storage.records import HOSTS, SFTP_TYPE
from imagestore_sim.bootstrap.records import (
    AccountRecord,
    BackupStorageRecord,
    Bootstrap,
    ImageRecord,
    TagRecord,
    uuid_of,
)
from imagestore_sim.database.global_config import InvalidOption
from imagestore_sim.database.models import ADMIN_UUID
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.host_names import is_ipv6
from imagestore_sim.rest.accounts import ADMIN_NAME

Place = Sequence[int | str]
"""The path to a field: names of members, and indexes in lists, from 0."""
Violation = tuple[Place, str]
"""The place of a field, and what is wrong with it."""


def violations(bootstrap: Bootstrap) -> Iterator[Violation]:
    """Yield every violation of a rule, in the order in which they are reported."""
    yield from _repeated_records(bootstrap)
    yield from _repeated_inside(bootstrap)
    for index, account in enumerate(bootstrap.accounts):
        yield from _below(("accounts", index), _account_violations(account))
    zones = {uuid_of("zone", one) for one in bootstrap.zones}
    for index, storage in enumerate(bootstrap.backupStorages):
        yield from _below(("backupStorages", index), _storage_violations(storage, zones))
    yield from _option_violations(bootstrap.globalConfig)
    storages = {uuid_of("backup-storage", one) for one in bootstrap.backupStorages}
    for index, image in enumerate(bootstrap.images):
        yield from _below(("images", index), _image_violations(image, storages))


def _below(place: Place, found: Iterable[Violation]) -> Iterator[Violation]:
    """Yield violations inside a record with the place of the record in front."""
    for inner, text in found:
        yield (*place, *inner), text


def _repeated_records(bootstrap: Bootstrap) -> Iterator[Violation]:
    yield from _repeated("backupStorages", "hostname", [one.hostname for one in bootstrap.backupStorages])
    yield from _repeated("backupStorages", "uuid", [one.uuid for one in bootstrap.backupStorages])
    yield from _repeated("zones", "uuid", [one.uuid for one in bootstrap.zones])
    yield from _repeated("images", "uuid", [one.uuid for one in bootstrap.images])
    yield from _repeated("accounts", "name", [one.name for one in bootstrap.accounts])
    yield from _repeated("accounts", "uuid", [one.uuid for one in bootstrap.accounts])
    yield from _repeated("accessKeys", "accessKeyId", [one.accessKeyId for one in bootstrap.accessKeys])
    yield from _repeated("accessKeys", "uuid", [one.uuid for one in bootstrap.accessKeys])
    yield from _repeated("webHooks", "uuid", [one.uuid for one in bootstrap.webHooks])


def _account_violations(account: AccountRecord) -> Iterator[Violation]:
    if account.uuid == ADMIN_UUID and account.name != ADMIN_NAME:
        yield ("uuid",), f"is that of {ADMIN_NAME}"
    yield from _repeated("users", "name", [user.name for user in account.users])


def _storage_violations(storage: BackupStorageRecord, zones: set[str]) -> Iterator[Violation]:
    for field, text in _host_violations(storage):
        yield (field,), text
    if storage.availableCapacity > storage.totalCapacity and storage.type in HOSTS:  # a call may set any of a simulator
        yield ("availableCapacity",), "is more than totalCapacity"
    for number, zone in enumerate(storage.attachedZoneUuids):
        if zone not in zones:
            yield ("attachedZoneUuids", number), f"no zone has the uuid {zone}"


def _image_violations(image: ImageRecord, storages: set[str]) -> Iterator[Violation]:
    for number, ref in enumerate(image.backupStorageRefs):
        if ref.backupStorageUuid not in storages:
            text = f"no backup storage has the uuid {ref.backupStorageUuid}"
            yield ("backupStorageRefs", number, "backupStorageUuid"), text


def _option_violations(options: Mapping[str, Mapping[str, str]]) -> Iterator[Violation]:
    declared = zstack_options()
    for category, by_name in options.items():
        for name, value in by_name.items():
            option = declared.get((category, name))
            if option is None:
                yield ("globalConfig", category, name), "there is no such option"
                continue
            try:
                option.read(option, value)
            except InvalidOption as error:
                yield ("globalConfig", category, name), str(error)


def _host_violations(storage: BackupStorageRecord) -> Iterator[tuple[str, str]]:
    if storage.type not in HOSTS:
        if storage.hostname is not None:
            yield "hostname", f"a {storage.type} has no host"
        return
    if storage.hostname is None:
        yield "hostname", "Field required"
        return
    try:
        if not is_ipv6(storage.hostname):  # ZStack's API refuses it, but a real host may have no other address
            check_hostname(storage.hostname)
    except InvalidRequest as error:
        yield "hostname", str(error)
    try:
        check_url(storage.url, sftp=storage.type == SFTP_TYPE)
    except InvalidRequest as error:
        yield "url", str(error)


def _repeated_inside(bootstrap: Bootstrap) -> Iterator[Violation]:
    """Yield repeated uuids of users and tags, and storages on which an image is twice."""
    users = [
        (("accounts", index, "users", number, "uuid"), user.uuid)
        for index, account in enumerate(bootstrap.accounts)
        for number, user in enumerate(account.users)
    ]
    yield from _twice(users)
    for field in ("systemTags", "userTags"):
        yield from _twice(_tag_uuids(bootstrap, field))
    for index, image in enumerate(bootstrap.images):
        for place, complaint in _repeated(
            "backupStorageRefs", "backupStorageUuid", [ref.backupStorageUuid for ref in image.backupStorageRefs]
        ):
            yield ("images", index, *place), complaint


def _tag_uuids(bootstrap: Bootstrap, field: str) -> Iterator[tuple[Place, str | None]]:
    for section in ("zones", "backupStorages", "images", "webHooks"):
        for index, record in enumerate(getattr(bootstrap, section)):
            for number, tag in enumerate(getattr(record, field)):
                if isinstance(tag, TagRecord):
                    yield (section, index, field, number, "uuid"), tag.uuid


def _repeated(section: str, field: str, values: Sequence[Hashable]) -> Iterator[Violation]:
    return _twice(((section, index, field), value) for index, value in enumerate(values))


def _twice(values: Iterable[tuple[Place, Hashable]]) -> Iterator[Violation]:
    """Yield the places of values that are also at an earlier place."""
    seen: set[Hashable] = set()
    for place, value in values:
        if value is not None and value in seen:
            yield place, f"{value} stands there twice"
        seen.add(value)
