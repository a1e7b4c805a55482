"""Rules of a bootstrap file that the types of its fields cannot express: addresses, references, uniqueness."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from imagestore_sim.backup_storage.address_rules import check_hostname, check_url
from imagestore_sim.backup_storage.errors import InvalidRequest
from imagestore_sim.backup_storage.records import HOSTS, SFTP_TYPE
from imagestore_sim.bootstrap.errors import Place
from imagestore_sim.bootstrap.records import (
    AccountRecord,
    BackupStorageRecord,
    Bootstrap,
    ImageRecord,
    ResourceConfigRecord,
    TagRecord,
    uuid_of,
)
from imagestore_sim.bootstrap.resource_uuids import given_uuids
from imagestore_sim.database.global_config import InvalidOption
from imagestore_sim.database.models import ADMIN_UUID
from imagestore_sim.database.zstack_global_config import zstack_options
from imagestore_sim.host_names import is_ipv6
from imagestore_sim.rest.accounts import ADMIN_NAME
from imagestore_sim.suggestions import instead
from imagestore_sim.validation_errors import place_text

Violation = tuple[Place, str]
"""The place of a field, and what is wrong with it."""


def violations(bootstrap: Bootstrap) -> Iterator[Violation]:
    """Yield every violation of a rule, in the order in which they are reported."""
    yield from _repeated_records(bootstrap)
    yield from _repeated_uuids(bootstrap)
    yield from _repeated_inside(bootstrap)
    yield from _second_default(bootstrap)
    for index, account in enumerate(bootstrap.accounts):
        yield from _below(("accounts", index), _account_violations(account))
    zones = {uuid_of("zone", one) for one in bootstrap.zones}
    for index, storage in enumerate(bootstrap.backupStorages):
        yield from _below(("backupStorages", index), _storage_violations(storage, zones))
    yield from _option_violations(bootstrap.globalConfig)
    for index, config in enumerate(bootstrap.resourceConfigs):
        yield from _below(("resourceConfigs", index), _config_violations(config))
    storages = {uuid_of("backup-storage", one) for one in bootstrap.backupStorages}
    for index, image in enumerate(bootstrap.images):
        yield from _below(("images", index), _image_violations(image, storages))


def _below(place: Place, found: Iterable[Violation]) -> Iterator[Violation]:
    """Yield violations inside a record with the place of the record in front."""
    for inner, text in found:
        yield (*place, *inner), text


def _repeated_records(bootstrap: Bootstrap) -> Iterator[Violation]:
    yield from _repeated("backupStorages", "hostname", [one.hostname for one in bootstrap.backupStorages])
    yield from _repeated("accounts", "name", [one.name for one in bootstrap.accounts])
    yield from _repeated("accessKeys", "accessKeyId", [one.accessKeyId for one in bootstrap.accessKeys])


def _repeated_uuids(bootstrap: Bootstrap) -> Iterator[Violation]:
    """Yield the uuids that another resource has, of whatever type (domain 1.1)."""
    given = [(place, uuid) for place, _, uuid in given_uuids(bootstrap)]
    yield from _twice(given)
    for place, uuid in given:
        if uuid == ADMIN_UUID and (place[0] != "accounts" or len(place) > len(("accounts", 0, "uuid"))):
            yield place, f"is that of {ADMIN_NAME}"


def _second_default(bootstrap: Bootstrap) -> Iterator[Violation]:
    """Yield the zones beside the first one that are to be the default (domain 2.4)."""
    defaults = [index for index, zone in enumerate(bootstrap.zones) if zone.isDefault]
    for index in defaults[1:]:
        first = place_text(("zones", defaults[0]))
        yield ("zones", index, "isDefault"), f"{first} is the default zone already, and there is only one"


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
    for category, by_name in options.items():
        for name, value in by_name.items():
            for field, text in _option_problems(category, name, value):
                yield ("globalConfig", category) if field == "category" else ("globalConfig", category, name), text


def _config_violations(config: ResourceConfigRecord) -> Iterator[Violation]:
    for field, text in _option_problems(config.category, config.name, config.value):
        yield (field,), text


def _option_problems(category: str, name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the value of an option: `category`, `name` or `value`; and why."""
    declared = zstack_options()
    option = declared.get((category, name))
    if option is not None:
        try:
            option.read(option, value)
        except InvalidOption as error:
            yield "value", str(error)
        return
    names = [one for of, one in declared if of == category]
    if names:
        yield "name", f"there is no such option; {instead(name, names)}"
    else:
        categories = sorted({of for of, _ in declared})
        yield "category", f"there is no such category of options; {instead(category, categories)}"


def _host_violations(storage: BackupStorageRecord) -> Iterator[tuple[str, str]]:
    if storage.type not in HOSTS:
        if storage.hostname is not None:
            yield "hostname", f"a {storage.type} has no host"
        return
    if storage.hostname is None:
        yield "hostname", "is required"
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
    """Yield repeated uuids of tags, and storages on which an image is twice."""
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
