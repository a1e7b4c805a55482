"""Writes the records of a bootstrap file into the database.

A record that exists already (with the same uuid; without a uuid, with the same name or hostname) is not changed, so
the same file can be given at every start. A tracked storage starts Connecting, whatever status and capacity the file
gives it; a storage with `tracked: false` stays as written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.records import HOSTS, Status
from imagestore_sim.bootstrap.account_rows import AccountRows
from imagestore_sim.bootstrap.errors import BootstrapError
from imagestore_sim.bootstrap.records import (
    AccessKeyRecord,
    AccountRecord,
    BackupStorageRecord,
    Bootstrap,
    ImageRecord,
    ResourceConfigRecord,
    Sealed,
    TagPatternRecord,
    TagRecord,
    TrashRecord,
    WebHookRecord,
    ZoneRecord,
    dates_of,
    stable_uuid,
    uuid_of,
)
from imagestore_sim.bootstrap.row_batch import RowBatch, pieces
from imagestore_sim.bootstrap.snapshot import clear_records
from imagestore_sim.clock import Clock
from imagestore_sim.database import Database, DatabaseError, Vault
from imagestore_sim.database.global_config import GlobalConfiguration, InvalidOption
from imagestore_sim.database.models import (
    ADMIN_UUID,
    AccessKey,
    Account,
    BackupStorage,
    BackupStorageZoneRef,
    Image,
    ImageBackupStorageRef,
    ResourceConfig,
    SharedResource,
    SystemTag,
    TagPattern,
    User,
    UserTag,
    WebHook,
    Zone,
)
from imagestore_sim.database.models import InstallPathRecycle as Recycle
from imagestore_sim.database.turns import take_turn
from imagestore_sim.database.vault import ANY_SECRET, is_protected
from imagestore_sim.database.zstack_global_config import integer
from imagestore_sim.identity.quotas import CATEGORY, NAMES
from imagestore_sim.ids import new_uuid
from imagestore_sim.images.sources import ImageSource
from imagestore_sim.images.stored_sources import StoredSources
from imagestore_sim.rest.accounts import ADMIN_NAME, DEFAULT_PASSWORD

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

TURN = "records"
"""What nodes that share the store take their turns for: changes of all records."""
_WRITTEN_APART = {"createDate", "lastOpDate", "systemTags", "userTags"}
"""Fields of a record that are not columns of its table, or are converted first."""


@dataclass(frozen=True, slots=True)
class _Plain:
    """A kind of record whose fields are the columns of its table."""

    place: str
    """The key of the bootstrap file."""
    name: str
    """What the uuid of a record without one is made of, beside the record's name."""
    model: type[Zone | WebHook]
    resource_type: str
    """The type that tags name."""


_ZONES = _Plain("zones", "zone", Zone, "ZoneVO")
_WEB_HOOKS = _Plain("webHooks", "web-hook", WebHook, "WebhookVO")


def _names(bootstrap: Bootstrap) -> set[str]:
    return {account.name for account in bootstrap.accounts}


async def _stored(
    connection: AsyncConnection, values: Iterable[str | None], *columns: InstrumentedAttribute[str]
) -> set[str]:
    """Return those of the values that the store has in one of the columns."""
    asked = [one for one in values if one is not None]
    return set(await connection.scalars(union_all(*(select(column).where(column.in_(asked)) for column in columns))))


def _is_tracked(record: BackupStorageRecord) -> bool:
    return record.tracked and record.type in HOSTS


def _account(accounts: Mapping[str, str], section: str, record: str, name: str) -> str:
    """Return the uuid of an account that a record of a section names. Raise BootstrapError."""
    if name not in accounts:
        raise BootstrapError(f"{section}: {record}: no account has the name {name}")
    return accounts[name]


async def _find_accounts(connection: AsyncConnection, accounts: dict[str, str], names: Set[str]) -> None:
    """Add to `accounts`, uuids by name, those of the names that are not in it.

    They stay until the transaction ends, so that their records have owners: see `hold_account`.
    """
    for piece in pieces(sorted(names - accounts.keys())):
        named = select(Account.name, Account.uuid).where(Account.name.in_(piece))
        accounts |= dict((await connection.execute(named.with_for_update(read=True))).all())


async def _user(connection: AsyncConnection, account: str, record: AccessKeyRecord) -> str:
    """Return the uuid of the user that an access key belongs to. Raise BootstrapError."""
    user = await connection.scalar(select(User.uuid).where(User.accountUuid == account, User.name == record.user))
    if user is None:
        raise BootstrapError(f"accessKeys: {record.accessKeyId}: the account has no user of the name {record.user}")
    return user


class _TaggedRows(RowBatch):
    """Rows of records that have tags."""

    def __init__(self, connection: AsyncConnection, section: str) -> None:
        super().__init__(connection, section)
        self.patterns: set[str | None] = {None}
        """The uuids of patterns that are there; None for tags that are made of none."""


class BootstrapLoader:
    """Writes the records of bootstrap files into a database."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        configuration: GlobalConfiguration,
        clock: Clock,
        sources: StoredSources,
    ) -> None:
        self._sources = sources
        self._database = database
        self._vault = vault
        self._configuration = configuration
        self._now = clock.local()

    async def load(self, bootstrap: Bootstrap, *, replace: bool = False) -> Sequence[str]:
        """Write all records, or none on an error. With `replace`, delete all others first.

        Return the uuids of the tracked storages that are new, in order. Where other nodes share the store, one of them
        that loads or replaces records waits, or is undone, as this one may be: see `database.turns`.

        Raise BootstrapError; DatabaseError if another node has stored secrets with another key meanwhile.
        """
        by_category = bootstrap.globalConfig.items()
        options = [(category, *option) for category, by_name in by_category for option in by_name.items()]
        try:
            for option in options:
                self._configuration.check(*option)
        except InvalidOption as error:
            raise BootstrapError(f"globalConfig: {error}") from None
        admin = AccountRecord(uuid=ADMIN_UUID, name=ADMIN_NAME, password=DEFAULT_PASSWORD)
        accounts = (*bootstrap.accounts, *(() if ADMIN_NAME in _names(bootstrap) else (admin,)))
        async with self._database.atomic(), self._database.transaction() as connection:
            if self._database.is_shared:
                await take_turn(connection, TURN)
                await self._check_key(connection)
            if replace:
                await clear_records(connection, [account.name for account in accounts])
            quotas = self._default_quotas(bootstrap, replace=replace)
            rows = AccountRows(connection, now=self._now, protect=self._protect, quotas=quotas)
            await rows.add(accounts, replace=replace)
            await self._add_patterns(connection, bootstrap.tags)
            await self._add_resource_configs(connection, bootstrap.resourceConfigs)
            await self._add_plain(connection, _ZONES, bootstrap.zones)
            tracked = await self._add_storages(connection, bootstrap.backupStorages)
            await self._add_images(connection, bootstrap.images)
            for item in bootstrap.trash:
                await self._add_trash(connection, item)
            await self._add_access_keys(connection, bootstrap.accessKeys)
            await self._add_plain(connection, _WEB_HOOKS, bootstrap.webHooks)
            sources = [
                ImageSource(one.url, one.size, one.actualSize, one.format, one.rate, one.error)
                for one in bootstrap.imageSources
            ]
            if replace:
                await self._sources.replace(sources)
            elif sources:
                await self._sources.add(sources)
            if replace:
                await self._configuration.replace({option[:2]: option[2] for option in options})
            else:
                for option in options:
                    await self._configuration.change(*option)
        return sorted(tracked)

    async def _check_key(self, connection: AsyncConnection) -> None:
        """Raise DatabaseError if the stored secrets have another key: of nodes that start at once, one is the first."""
        for secret in await connection.scalars(text(ANY_SECRET)):
            self._vault.check(str(secret))

    def _default_quotas(self, bootstrap: Bootstrap, *, replace: bool) -> dict[str, int]:
        """Return the quotas of a new account, as the options will be once the file is loaded."""
        given = bootstrap.globalConfig.get(CATEGORY, {})
        options = {name: integer(CATEGORY, name) for name in NAMES}
        texts = {name: given.get(name, option.default if replace else None) for name, option in options.items()}
        return {
            name: self._configuration.get(option) if texts[name] is None else option.read(option, str(texts[name]))
            for name, option in options.items()
        }

    async def _add_patterns(self, connection: AsyncConnection, records: Sequence[TagPatternRecord]) -> None:
        rows = RowBatch(connection, "tags")
        there = set[str]()
        accounts: dict[str, str] = {}
        for piece in pieces(records):
            uuids = [record.uuid or stable_uuid("tag", f"{record.account}/{record.name}") for record in piece]
            there |= await _stored(connection, uuids, TagPattern.uuid)
            await _find_accounts(connection, accounts, {record.account for record in piece})
            for uuid, record in zip(uuids, piece, strict=True):
                if uuid in there:
                    continue
                there.add(uuid)
                account = _account(accounts, "tags", record.name, record.account)
                values = record.model_dump(exclude={"uuid", "account", *_WRITTEN_APART})
                rows.add(
                    TagPattern,
                    record.name,
                    {"uuid": uuid, "accountUuid": account, **values, **dates_of(record, self._now)},
                )
                await rows.insert_if_many()
        await rows.insert()

    async def _add_resource_configs(self, connection: AsyncConnection, records: Sequence[ResourceConfigRecord]) -> None:
        rows = RowBatch(connection, "resourceConfigs")
        there = set[tuple[str, ...]]()
        columns = select(ResourceConfig.resourceUuid, ResourceConfig.category, ResourceConfig.name)
        for piece in pieces(records):
            of_them = columns.where(ResourceConfig.resourceUuid.in_({record.resourceUuid for record in piece}))
            there |= {tuple(row) for row in await connection.execute(of_them)}
            for record in piece:
                key = (record.resourceUuid, record.category, record.name)
                if key not in there:
                    there.add(key)
                    rows.add(ResourceConfig, record.name, self._resource_config(record))
                    await rows.insert_if_many()
        await rows.insert()

    def _resource_config(self, record: ResourceConfigRecord) -> dict[str, object]:
        try:
            option = self._configuration.find(record.category, record.name)
            option.read(option, record.value)
        except InvalidOption as error:
            raise BootstrapError(f"resourceConfigs: {error}") from None
        values = record.model_dump(exclude={"uuid", *_WRITTEN_APART})
        values |= {"accountUuid": ADMIN_UUID, "description": option.description, **dates_of(record, self._now)}
        return {"uuid": record.uuid or new_uuid(), **values}

    async def _add_plain(
        self, connection: AsyncConnection, kind: _Plain, records: Sequence[ZoneRecord | WebHookRecord]
    ) -> None:
        """Add the records that are not there, with their tags. Raise BootstrapError."""
        rows = _TaggedRows(connection, kind.place)
        there = set[str]()
        for piece in pieces(records):
            uuids = [uuid_of(kind.name, record) for record in piece]
            there |= await _stored(connection, uuids, kind.model.uuid)
            for uuid, record in zip(uuids, piece, strict=True):
                if uuid in there:
                    continue
                there.add(uuid)
                values = record.model_dump(exclude={"uuid", *_WRITTEN_APART})
                rows.add(kind.model, record.name, {"uuid": uuid, **values, **dates_of(record, self._now)})
                await self._add_tags(connection, rows, uuid, kind.resource_type, record)
                await rows.insert_if_many()
        await rows.insert()

    async def _add_storages(self, connection: AsyncConnection, records: Sequence[BackupStorageRecord]) -> list[str]:
        """Add the storages that are not there, with their tags; return the tracked ones. Raise BootstrapError."""
        tracked: list[str] = []
        rows = _TaggedRows(connection, "backupStorages")
        there = set[str]()
        of_hosts = [model.hostname for model in HOSTS.values()]
        for piece in pieces(records):
            uuids = [uuid_of("backup-storage", record) for record in piece]
            there |= await _stored(connection, uuids, BackupStorage.uuid)
            hostnames = await _stored(connection, [record.hostname for record in piece], *of_hosts)
            for storage, record in zip(uuids, piece, strict=True):
                if storage in there or record.hostname in hostnames:
                    continue
                there.add(storage)
                if _is_tracked(record):
                    tracked.append(storage)
                self._add_storage(rows, storage, record)
                await self._add_tags(connection, rows, storage, "BackupStorageVO", record)
                await rows.insert_if_many()
        await rows.insert()
        return tracked

    def _add_storage(self, rows: RowBatch, storage: str, record: BackupStorageRecord) -> None:
        tracked = _is_tracked(record)
        values: dict[str, object] = {
            name: getattr(record, name) for name in ("name", "description", "url", "type", "state")
        }
        values |= {"status": Status.CONNECTING, "totalCapacity": 0, "availableCapacity": 0, "tracked": tracked}
        if not tracked:
            values |= {name: getattr(record, name) for name in ("status", "totalCapacity", "availableCapacity")}
        dates = dates_of(record, self._now)
        rows.add(BackupStorage, record.name, {"uuid": storage, **values, **dates})
        if record.type in HOSTS:
            host = {name: getattr(record, name) for name in ("hostname", "username", "sshPort")}
            password = self._vault.encrypt(self._open(record.password, f"backupStorages: {record.name}: password"))
            rows.add(HOSTS[record.type], record.name, {"uuid": storage, "password": password, **host})
        for zone in record.attachedZoneUuids:
            rows.add(BackupStorageZoneRef, record.name, {"backupStorageUuid": storage, "zoneUuid": zone, **dates})

    async def _add_tags(
        self,
        connection: AsyncConnection,
        rows: _TaggedRows,
        resource: str,
        resource_type: str,
        record: ZoneRecord | BackupStorageRecord | ImageRecord | WebHookRecord,
    ) -> None:
        tagged = {"resourceUuid": resource, "resourceType": resource_type}
        for model, tags in ((SystemTag, record.systemTags), (UserTag, record.userTags)):
            for tag in tags:
                whole = TagRecord(tag=tag) if isinstance(tag, str) else tag
                if whole.tagPatternUuid not in rows.patterns:
                    rows.patterns.add(whole.tagPatternUuid)
                    await self._add_pattern_of(connection, whole)
                rows.add(model, record.name, self._tag(model, whole) | tagged)
                await rows.insert_if_many()

    async def _add_pattern_of(self, connection: AsyncConnection, tag: TagRecord) -> None:
        """Insert the pattern that a tag names, with its text, unless it is there."""
        if tag.tagPatternUuid is not None:
            text = tag.tag[:128]
            await self._add_patterns(connection, [TagPatternRecord(uuid=tag.tagPatternUuid, name=text, value=text)])

    def _tag(self, model: type[SystemTag | UserTag], record: TagRecord) -> dict[str, object]:
        """Return the row of a tag, without the resource that has it."""
        own: dict[str, object] = {"type": "User", "tagPatternUuid": record.tagPatternUuid}
        if model is SystemTag:
            own = {"type": "System", "inherent": record.inherent}
        return {"uuid": record.uuid or new_uuid(), "tag": record.tag, **own, **dates_of(record, self._now)}

    async def _add_images(self, connection: AsyncConnection, records: Sequence[ImageRecord]) -> None:
        rows = _TaggedRows(connection, "images")
        there = set[str]()
        accounts: dict[str, str] = {}
        for piece in pieces(records):
            uuids = [uuid_of("image", record) for record in piece]
            there |= await _stored(connection, uuids, Image.uuid)
            named = {name for record in piece for name in (record.account, *record.sharedWith)}
            await _find_accounts(connection, accounts, named)
            for image, record in zip(uuids, piece, strict=True):
                if image in there:
                    continue
                there.add(image)
                self._add_image(rows, image, record, accounts)
                await self._add_tags(connection, rows, image, "ImageVO", record)
                await rows.insert_if_many()
        await rows.insert()

    def _add_image(self, rows: RowBatch, image: str, record: ImageRecord, accounts: Mapping[str, str]) -> None:
        apart = {"uuid", "account", "sharedWith", "toPublic", "backupStorageRefs", *_WRITTEN_APART}
        values = record.model_dump(exclude=apart) | {
            "accountUuid": _account(accounts, "images", record.name, record.account)
        }
        rows.add(Image, record.name, {"uuid": image, **values, **dates_of(record, self._now)})
        for ref in record.backupStorageRefs:
            dates = dates_of(ref if ref.createDate else record, self._now)
            row = {"imageUuid": image, **ref.model_dump(exclude=_WRITTEN_APART), **dates}
            rows.add(ImageBackupStorageRef, record.name, row)
        self._add_shares(rows, image, record, accounts)

    def _add_shares(self, rows: RowBatch, image: str, record: ImageRecord, accounts: Mapping[str, str]) -> None:
        """Share an image, as admin does it: nobody else shares (observed 10)."""
        receivers: list[str | None] = [_account(accounts, "images", record.name, name) for name in record.sharedWith]
        for receiver in (*receivers, *((None,) if record.toPublic else ())):
            shared = {"resourceUuid": image, "resourceType": "ImageVO", "ownerAccountUuid": ADMIN_UUID}
            to = {"receiverAccountUuid": receiver, "toPublic": receiver is None}
            rows.add(SharedResource, record.name, {**shared, **to, **dates_of(record, self._now)})

    async def _add_trash(self, connection: AsyncConnection, record: TrashRecord) -> None:
        """Insert an item of the trash, unless the storage has one with this path. Raise BootstrapError."""
        same = (Recycle.storageUuid == record.storageUuid, Recycle.installPath == record.installPath)
        if await connection.scalar(select(Recycle.trashId).where(*same)) is not None:
            return
        if await connection.scalar(select(BackupStorage.uuid).where(BackupStorage.uuid == record.storageUuid)) is None:
            raise BootstrapError(f"trash: {record.installPath}: no backup storage has the uuid {record.storageUuid}")
        values = record.model_dump() | {"createDate": record.createDate or self._now}
        await connection.execute(insert(Recycle), values)

    async def _add_access_keys(self, connection: AsyncConnection, records: Sequence[AccessKeyRecord]) -> None:
        rows = RowBatch(connection, "accessKeys")
        there = set[str]()
        accounts: dict[str, str] = {}
        for piece in pieces(records):
            there |= await _stored(connection, [record.accessKeyId for record in piece], AccessKey.AccessKeyID)
            await _find_accounts(connection, accounts, {record.account for record in piece})
            for record in piece:
                if record.accessKeyId in there:
                    continue
                there.add(record.accessKeyId)
                account = _account(accounts, "accessKeys", record.accessKeyId, record.account)
                user = account if record.user is None else await _user(connection, account, record)
                rows.add(AccessKey, record.accessKeyId, self._access_key(record, account, user))
                await rows.insert_if_many()
        await rows.insert()

    def _access_key(self, record: AccessKeyRecord, account: str, user: str) -> dict[str, object]:
        return {
            "uuid": record.uuid or new_uuid(),
            "accountUuid": account,
            "userUuid": user,
            "description": record.description,
            "AccessKeyID": record.accessKeyId,
            "AccessKeySecret": self._vault.encrypt(
                self._open(record.accessKeySecret, f"accessKeys: {record.accessKeyId}: accessKeySecret")
            ),
            "state": record.state,
            **dates_of(record, self._now),
        }

    def _open(self, secret: str | Sealed, place: str) -> str:
        """Return a secret in plain text. Raise BootstrapError, which names its place."""
        if isinstance(secret, str):
            return secret
        try:
            return self._vault.decrypt(secret.sealed)
        except DatabaseError:
            raise BootstrapError(f"{place}: is sealed with the key file of another node") from None

    def _protect(self, password: str | Sealed, place: str) -> str:
        """Return what to store of a password, given in plain text or sealed. Raise BootstrapError.

        Snapshots of older versions hold the sealed SHA-512 that clients send, instead of the sealed hash of that.
        """
        if isinstance(password, str):
            return self._vault.protect(hashlib.sha512(password.encode()).hexdigest())
        opened = self._open(password, place)
        return opened if is_protected(opened) else self._vault.protect(opened)
