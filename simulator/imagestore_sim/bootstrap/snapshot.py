"""Snapshots: all records of a running node as a bootstrap file.

Secrets in it are encrypted as in the database: only a node with the same key file can load them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.records import HOSTS
from imagestore_sim.bootstrap.records import (
    AccessKeyRecord,
    AccountRecord,
    BackupStorageRecord,
    Bootstrap,
    ImageRecord,
    ImageRefRecord,
    ImageSourceRecord,
    PolicyRecord,
    ResourceConfigRecord,
    RoleRecord,
    Sealed,
    TagPatternRecord,
    TagRecord,
    TrashRecord,
    UserGroupRecord,
    UserRecord,
    WebHookRecord,
    ZoneRecord,
)
from imagestore_sim.database import Database, Vault
from imagestore_sim.database.models import (
    ADMIN_UUID,
    AccessKey,
    Account,
    BackupStorage,
    BackupStorageZoneRef,
    GlobalConfig,
    Image,
    ImageBackupStorageRef,
    InstallPathRecycle,
    LongJob,
    Policy,
    Quota,
    ResourceConfig,
    Role,
    SharedResource,
    SystemTag,
    TagPattern,
    User,
    UserGroup,
    UserGroupPolicyRef,
    UserGroupUserRef,
    UserPolicyRef,
    UserTag,
    WebHook,
    Zone,
)
from imagestore_sim.identity.accounts import default_policy_uuid
from imagestore_sim.identity.quotas import CATEGORY
from imagestore_sim.images.sources import ImageSources
from imagestore_sim.rest.accounts import ADMIN_NAME
from imagestore_sim.tasks import in_thread

MODELS = (
    Zone,
    BackupStorage,
    *HOSTS.values(),
    BackupStorageZoneRef,
    Image,
    ImageBackupStorageRef,
    InstallPathRecycle,
    Account,
    Quota,
    User,
    UserGroup,
    Policy,
    Role,
    SharedResource,
    AccessKey,
    WebHook,
    SystemTag,
    UserTag,
    TagPattern,
    ResourceConfig,
    UserGroupUserRef,
    UserPolicyRef,
    UserGroupPolicyRef,
    GlobalConfig,
)
RECORDS = (
    *(Image, BackupStorage, Zone, SystemTag, UserTag, TagPattern, ResourceConfig, WebHook),
    *(AccessKey, User, UserGroup, Policy, Role, Quota),
)
"""What a new snapshot replaces; what refers to these goes with them."""
CLEARED = (LongJob, *RECORDS)
"""The tables that a reset clears, in the order in which it deletes their rows."""
_FILLED = select(*(exists().select_from(model) for model in CLEARED))
"""Its row says of each whether it has rows."""
ROWS_AT_A_TIME = 200
DATED = ("createDate", "lastOpDate")
Rows = Sequence[Any]


def write_snapshot(bootstrap: Bootstrap) -> str:
    """Return the text of a bootstrap file, without fields that are empty or None."""
    from imagestore_sim.yaml_text import write_yaml

    return write_yaml(_without_empty({name: _plain(getattr(bootstrap, name)) for name in Bootstrap.model_fields}))


def _plain(value: Any) -> Any:
    """Return records as plain values, one after another: Pydantic lets no other thread run until it is done."""
    return [one.model_dump(mode="json", exclude_none=True) for one in value] if isinstance(value, tuple) else value


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_empty(one) for name, one in value.items() if one not in ([], {})}
    return [_without_empty(one) for one in value] if isinstance(value, list) else value


async def clear_records(connection: AsyncConnection, accounts: Sequence[str]) -> None:
    """Delete every record except accounts with these names, so that sessions of those accounts remain valid."""
    gone = Account.name.not_in(accounts)
    # First, so that no image is added for them behind the deletion of the images: see `hold_account`.
    await connection.execute(select(Account.uuid).where(gone).with_for_update())
    # Most tables are empty: one statement that finds the others takes the time of one that deletes nothing.
    filled = (await connection.execute(_FILLED)).one()
    for model, is_filled in zip(CLEARED, filled, strict=True):
        if is_filled:
            await connection.execute(delete(model))
    await connection.execute(delete(Account).where(gone))


class Snapshots:
    """Takes snapshots of a database's records."""

    def __init__(self, database: Database, vault: Vault, sources: ImageSources) -> None:
        self._database = database
        self._vault = vault
        self._sources = sources

    async def take(self) -> Bootstrap:
        """Return every record as it is now, without storages and images that are still being added.

        There may be tens of thousands of rows: they are read in partitions, and converted in a thread.
        """
        async with self._database.read_snapshot() as connection:
            rows = {model: await _read(connection, model) for model in MODELS}
        taken = await in_thread(_converted, rows, self._vault)
        sources = tuple(
            ImageSourceRecord(
                url=one.url,
                size=one.size,
                actualSize=one.actual_size,
                format=one.format,
                rate=one.rate,
                error=one.error,
            )
            for one in self._sources.all()
        )
        return taken.model_copy(update={"imageSources": sources})


async def _read(connection: AsyncConnection, model: Any) -> Rows:
    found: list[Any] = []
    async with connection.stream(select(model).order_by(*model.__table__.primary_key)) as result:
        async for rows in result.partitions(ROWS_AT_A_TIME):
            found += rows
            await asyncio.sleep(0)  # lets other tasks run
    return found


def _converted(rows: dict[Any, Rows], vault: Vault) -> Bootstrap:
    """Return the records of rows; forget these here, so that it is not the event loop that frees them."""
    try:
        return _RowConverter(rows, vault).bootstrap()
    finally:
        rows.clear()


class _RowConverter:
    """Converts the rows of one snapshot of the database to records."""

    def __init__(self, rows: Mapping[Any, Rows], vault: Vault) -> None:
        self._rows = rows
        self._vault = vault
        self._tags = self._read_tags()

    def bootstrap(self) -> Bootstrap:
        """Return all records."""
        return Bootstrap(
            zones=self._zones(),
            backupStorages=self._storages(),
            images=self._images(),
            trash=self._trash(),
            tags=self._patterns(),
            resourceConfigs=self._resource_configs(),
            accounts=self._accounts(),
            accessKeys=self._access_keys(),
            webHooks=self._web_hooks(),
            globalConfig=self._configuration(),
        )

    def _read_tags(self) -> dict[str, dict[str, list[TagRecord]]]:
        """Return all tags by the uuid of their resource and the name of the record's field."""
        of_resources: dict[str, dict[str, list[TagRecord]]] = {}
        fields = tuple(TagRecord.model_fields)
        for name, model in (("systemTags", SystemTag), ("userTags", UserTag)):
            columns = [column for column in fields if column in model.__table__.c]
            for row in sorted(self._rows[model], key=lambda row: (row.tag, row.uuid)):
                of_resource = of_resources.setdefault(row.resourceUuid, {})
                of_resource.setdefault(name, []).append(TagRecord(**_pick(row, columns)))
        return of_resources

    def _zones(self) -> tuple[ZoneRecord, ...]:
        fields = ("uuid", "name", "description", "state", "type", "isDefault", *DATED)
        rows = self._rows[Zone]
        return tuple([ZoneRecord(**_pick(row, fields), **self._tags_of(row.uuid)) for row in rows])

    def _storages(self) -> tuple[BackupStorageRecord, ...]:
        common = ("uuid", "name", "description", "type", "url", "totalCapacity", "availableCapacity")
        fields = (*common, "state", "status", "tracked", *DATED)
        hosts = {row.uuid: row for model in HOSTS.values() for row in self._rows[model]}
        zones: dict[str, list[str]] = defaultdict(list)
        for ref in self._rows[BackupStorageZoneRef]:
            zones[ref.backupStorageUuid].append(ref.zoneUuid)
        return tuple(
            [
                BackupStorageRecord(
                    **_pick(row, fields),
                    **_host(hosts.get(row.uuid)),
                    attachedZoneUuids=tuple(zones[row.uuid]),
                    **self._tags_of(row.uuid),
                )
                for row in self._rows[BackupStorage]
                if row.addedByJob is None
            ]
        )

    def _images(self) -> tuple[ImageRecord, ...]:
        refs: dict[str, list[ImageRefRecord]] = defaultdict(list)
        of_ref = tuple(ImageRefRecord.model_fields)
        for ref in self._rows[ImageBackupStorageRef]:
            refs[ref.imageUuid].append(ImageRefRecord(**_pick(ref, of_ref)))
        apart = {"account", "sharedWith", "toPublic", "backupStorageRefs", "systemTags", "userTags"}
        fields = tuple(set(ImageRecord.model_fields) - apart)
        accounts = {row.uuid: row.name for row in self._rows[Account]}
        admin = accounts.get(ADMIN_UUID, ADMIN_NAME)  # has what an account has left behind that was deleted
        shares: dict[str, list[str | None]] = defaultdict(list)
        for share in self._rows[SharedResource]:
            shares[share.resourceUuid].append(None if share.toPublic else accounts[share.receiverAccountUuid])
        return tuple(
            [
                ImageRecord(
                    **_pick(row, fields),
                    account=accounts.get(row.accountUuid, admin),
                    sharedWith=tuple(name for name in shares[row.uuid] if name is not None),
                    toPublic=None in shares[row.uuid],
                    backupStorageRefs=tuple(refs[row.uuid]),
                    **self._tags_of(row.uuid),
                )
                for row in self._rows[Image]
                if row.addedByJob is None
            ]
        )

    def _trash(self) -> tuple[TrashRecord, ...]:
        fields = tuple(TrashRecord.model_fields)
        return tuple([TrashRecord(**_pick(row, fields)) for row in self._rows[InstallPathRecycle]])

    def _accounts(self) -> tuple[AccountRecord, ...]:
        users: dict[str, list[UserRecord]] = defaultdict(list)
        groups: dict[str, list[UserGroupRecord]] = defaultdict(list)
        quotas: dict[str, dict[str, int]] = defaultdict(dict)
        fields = ("uuid", "name", "description", *DATED)
        first = {default_policy_uuid(row.uuid) for row in self._rows[Account]}
        reading = {row.userUuid for row in self._rows[UserPolicyRef] if row.policyUuid in first}
        beside = [row for row in self._rows[UserPolicyRef] if row.policyUuid not in first]
        names = {row.uuid: row.name for row in self._rows[User]} | _told_apart(self._rows[Policy], first)
        of_users = _grouped(beside, "userUuid", "policyUuid", names)
        members = _grouped(self._rows[UserGroupUserRef], "groupUuid", "userUuid", names)
        of_groups = _grouped(self._rows[UserGroupPolicyRef], "groupUuid", "policyUuid", names)
        for row in self._rows[User]:
            users[row.accountUuid].append(
                UserRecord(
                    **_pick(row, fields),
                    password=self._seal(row.password),
                    reads=row.uuid in reading or row.accountUuid == ADMIN_UUID,
                    policies=of_users.get(row.uuid, ()),
                )
            )
        for row in self._rows[UserGroup]:
            both = {"users": members.get(row.uuid, ()), "policies": of_groups.get(row.uuid, ())}
            groups[row.accountUuid].append(UserGroupRecord(**_pick(row, fields), **both))
        policies: dict[str, list[PolicyRecord]] = defaultdict(list)
        reads = {ADMIN_UUID}  # which never has the policy
        for row in self._rows[Policy]:
            if row.uuid in first:
                reads.add(row.accountUuid)
            else:
                policies[row.accountUuid].append(PolicyRecord(**_pick(row, tuple(PolicyRecord.model_fields))))
        roles: dict[str, list[RoleRecord]] = defaultdict(list)
        for row in self._rows[Role]:
            roles[row.accountUuid].append(RoleRecord(**_pick(row, tuple(RoleRecord.model_fields))))
        defaults = {row.name: int(row.value) for row in self._rows[GlobalConfig] if row.category == CATEGORY}
        for row in self._rows[Quota]:
            if row.value != defaults[row.name]:
                quotas[row.identityUuid][row.name] = row.value
        return tuple(
            AccountRecord(
                **_pick(row, (*fields, "type")),
                password=self._seal(row.password),
                quotas=quotas[row.uuid],
                reads=row.uuid in reads,
                users=tuple(users[row.uuid]),
                groups=tuple(groups[row.uuid]),
                policies=tuple(policies[row.uuid]),
                roles=tuple(roles[row.uuid]),
            )
            for row in self._rows[Account]
        )

    def _patterns(self) -> tuple[TagPatternRecord, ...]:
        accounts = {row.uuid: row.name for row in self._rows[Account]}
        fields = ("uuid", "name", "value", "description", "color", "type", *DATED)
        rows = self._rows[TagPattern]
        return tuple(TagPatternRecord(**_pick(row, fields), account=accounts[row.accountUuid]) for row in rows)

    def _resource_configs(self) -> tuple[ResourceConfigRecord, ...]:
        fields = tuple(ResourceConfigRecord.model_fields)
        return tuple(ResourceConfigRecord(**_pick(row, fields)) for row in self._rows[ResourceConfig])

    def _access_keys(self) -> tuple[AccessKeyRecord, ...]:
        accounts = {row.uuid: row.name for row in self._rows[Account]}
        users = {row.uuid: row.name for row in self._rows[User]}
        return tuple(
            AccessKeyRecord(
                **_pick(row, ("uuid", "description", "state", *DATED)),
                accessKeyId=row.AccessKeyID,
                accessKeySecret=Sealed(sealed=row.AccessKeySecret),
                account=accounts[row.accountUuid],
                user=users.get(row.userUuid),
            )
            for row in self._rows[AccessKey]
        )

    def _web_hooks(self) -> tuple[WebHookRecord, ...]:
        fields = ("uuid", "name", "description", "url", "type", "opaque", *DATED)
        rows = self._rows[WebHook]
        return tuple([WebHookRecord(**_pick(row, fields), **self._tags_of(row.uuid)) for row in rows])

    def _configuration(self) -> Mapping[str, Mapping[str, str]]:
        changed: dict[str, dict[str, str]] = defaultdict(dict)
        for row in self._rows[GlobalConfig]:
            if row.value != row.defaultValue:
                changed[row.category][row.name] = row.value
        return dict(changed)

    def _tags_of(self, uuid: str) -> dict[str, tuple[TagRecord, ...]]:
        return {name: tuple(tags) for name, tags in self._tags.get(uuid, {}).items()}

    def _seal(self, password: str) -> Sealed:
        # What is stored does not let a client log in, but someone with the key file could guess the password by it.
        return Sealed(sealed=self._vault.encrypt(password))


def _told_apart(policies: Rows, first: AbstractSet[str]) -> dict[str, str]:
    """Return the names of policies by their uuids; in place of a name that an account has twice, the uuid.

    The `first` of each account keeps its name: its uuid is that of the account in another form.
    """
    counts = Counter((row.accountUuid, row.name) for row in policies)
    twice = {name for name, count in counts.items() if count > 1}
    apart = {row.uuid for row in policies if (row.accountUuid, row.name) in twice and row.uuid not in first}
    return {row.uuid: row.uuid if row.uuid in apart else row.name for row in policies}


def _grouped(rows: Rows, by: str, of: str, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the records in the column `of`, by the uuid in the column `by`."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found[getattr(row, by)].append(names[getattr(row, of)])
    return {uuid: tuple(sorted(each)) for uuid, each in found.items()}


def _pick(row: Any, fields: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in fields}


def _host(row: Any) -> dict[str, Any]:
    if row is None:
        return {}
    return {**_pick(row, ("hostname", "username", "sshPort")), "password": Sealed(sealed=row.password)}
