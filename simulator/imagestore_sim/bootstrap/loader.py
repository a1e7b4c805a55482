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

from sqlalchemy import insert, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.backup_storage.records import HOSTS, Status
from imagestore_sim.bootstrap.account_rows import AccountRows
from imagestore_sim.bootstrap.errors import Place, RecordProblem
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
from imagestore_sim.bootstrap.resource_uuids import refuse_taken
from imagestore_sim.bootstrap.row_batch import RowBatch, pieces, placed, unique
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

    section: str
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


def _account(accounts: Mapping[str, str], place: Place, name: str) -> str:
    """Return the uuid of the account that a field names. Raise RecordProblem."""
    if name not in accounts:
        raise RecordProblem(place, f"no account has the name {name}")
    return accounts[name]


async def _find_accounts(connection: AsyncConnection, accounts: dict[str, str], names: Set[str]) -> None:
    """Add to `accounts`, uuids by name, those of the names that are not in it.

    They stay until the transaction ends, so that their records have owners: see `hold_account`.
    """
    for piece in pieces(sorted(names - accounts.keys())):
        named = select(Account.name, Account.uuid).where(Account.name.in_(piece))
        accounts |= dict((await connection.execute(named.with_for_update(read=True))).all())


async def _user(connection: AsyncConnection, account: str, place: Place, name: str) -> str:
    """Return the uuid of the user that an access key at a place belongs to. Raise RecordProblem."""
    user = await connection.scalar(select(User.uuid).where(User.accountUuid == account, User.name == name))
    if user is None:
        raise RecordProblem((*place, "user"), f"the account has no user of the name {name}")
    return user


class _TaggedRows(RowBatch):
    """Rows of records that have tags."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection)
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
        try:
            return await self._load(bootstrap, replace=replace)
        except RecordProblem as problem:
            raise bootstrap.error(problem) from None

    async def _load(self, bootstrap: Bootstrap, *, replace: bool) -> Sequence[str]:
        """Write all records, as `load` does. Raise RecordProblem, DatabaseError."""
        by_category = bootstrap.globalConfig.items()
        options = [(category, *option) for category, by_name in by_category for option in by_name.items()]
        for option in options:
            try:
                self._configuration.check(*option)
            except InvalidOption as error:
                raise RecordProblem(("globalConfig", *option[:2]), str(error)) from None
        admin = AccountRecord(uuid=ADMIN_UUID, name=ADMIN_NAME, password=DEFAULT_PASSWORD)
        accounts = (*bootstrap.accounts, *(() if ADMIN_NAME in _names(bootstrap) else (admin,)))
        async with self._database.atomic(), self._database.transaction() as connection:
            if self._database.is_shared:
                await take_turn(connection, TURN)
                await self._check_key(connection)
            if replace:
                await clear_records(connection, [account.name for account in accounts])
            await refuse_taken(connection, bootstrap)
            quotas = self._default_quotas(bootstrap, replace=replace)
            rows = AccountRows(connection, now=self._now, protect=self._protect, quotas=quotas)
            await rows.add(accounts, replace=replace)
            await self._add_patterns(connection, bootstrap.tags)
            await self._add_resource_configs(connection, bootstrap.resourceConfigs)
            await self._add_zones(connection, bootstrap.zones)
            tracked = await self._add_storages(connection, bootstrap.backupStorages)
            await self._add_images(connection, bootstrap.images)
            for number, item in enumerate(bootstrap.trash):
                await self._add_trash(connection, ("trash", number), item)
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
        rows = RowBatch(connection)
        there = set[str]()
        accounts: dict[str, str] = {}
        for piece in placed("tags", records):
            uuids = [record.uuid or stable_uuid("tag", f"{record.account}/{record.name}") for _, record in piece]
            there |= await _stored(connection, uuids, TagPattern.uuid)
            await _find_accounts(connection, accounts, {record.account for _, record in piece})
            for uuid, (place, record) in zip(uuids, piece, strict=True):
                if uuid in there:
                    continue
                there.add(uuid)
                account = _account(accounts, (*place, "account"), record.account)
                values = record.model_dump(exclude={"uuid", "account", *_WRITTEN_APART})
                row = {"uuid": uuid, "accountUuid": account, **values, **dates_of(record, self._now)}
                rows.add(TagPattern, place, row)
                await rows.insert_if_many()
        await rows.insert()

    async def _add_resource_configs(self, connection: AsyncConnection, records: Sequence[ResourceConfigRecord]) -> None:
        rows = RowBatch(connection)
        there = set[tuple[str, ...]]()
        columns = select(ResourceConfig.resourceUuid, ResourceConfig.category, ResourceConfig.name)
        for piece in placed("resourceConfigs", records):
            of_them = columns.where(ResourceConfig.resourceUuid.in_({record.resourceUuid for _, record in piece}))
            there |= {tuple(row) for row in await connection.execute(of_them)}
            for place, record in piece:
                key = (record.resourceUuid, record.category, record.name)
                if key not in there:
                    there.add(key)
                    rows.add(ResourceConfig, place, self._resource_config(place, record))
                    await rows.insert_if_many()
        await rows.insert()

    def _resource_config(self, place: Place, record: ResourceConfigRecord) -> dict[str, object]:
        try:
            option = self._configuration.find(record.category, record.name)
        except InvalidOption as error:
            raise RecordProblem((*place, "name"), str(error)) from None
        try:
            option.read(option, record.value)
        except InvalidOption as error:
            raise RecordProblem((*place, "value"), str(error)) from None
        values = record.model_dump(exclude={"uuid", *_WRITTEN_APART})
        values |= {"accountUuid": ADMIN_UUID, "description": option.description, **dates_of(record, self._now)}
        return {"uuid": record.uuid or new_uuid(), **values}

    async def _add_zones(self, connection: AsyncConnection, records: Sequence[ZoneRecord]) -> None:
        """Add the zones that are not there. A new default takes the place of the old one, as in a call (domain 2.4)."""
        default = next((uuid_of(_ZONES.name, one) for one in records if one.isDefault), None)
        if default is not None and not await _stored(connection, [default], Zone.uuid):
            await connection.execute(update(Zone).where(Zone.isDefault).values(isDefault=False))
        await self._add_plain(connection, _ZONES, records)

    async def _add_plain(
        self, connection: AsyncConnection, kind: _Plain, records: Sequence[ZoneRecord | WebHookRecord]
    ) -> None:
        """Add the records that are not there, with their tags. Raise RecordProblem."""
        rows = _TaggedRows(connection)
        there = set[str]()
        for piece in placed(kind.section, records):
            uuids = [uuid_of(kind.name, record) for _, record in piece]
            there |= await _stored(connection, uuids, kind.model.uuid)
            for uuid, (place, record) in zip(uuids, piece, strict=True):
                if uuid in there:
                    continue
                there.add(uuid)
                values = record.model_dump(exclude={"uuid", *_WRITTEN_APART})
                rows.add(kind.model, place, {"uuid": uuid, **values, **dates_of(record, self._now)})
                await self._add_tags(connection, rows, (uuid, kind.resource_type), place, record)
                await rows.insert_if_many()
        await rows.insert()

    async def _add_storages(self, connection: AsyncConnection, records: Sequence[BackupStorageRecord]) -> list[str]:
        """Add the storages that are not there, with their tags; return the tracked ones. Raise RecordProblem."""
        tracked: list[str] = []
        rows = _TaggedRows(connection)
        there = set[str]()
        of_hosts = [model.hostname for model in HOSTS.values()]
        for piece in placed("backupStorages", records):
            uuids = [uuid_of("backup-storage", record) for _, record in piece]
            there |= await _stored(connection, uuids, BackupStorage.uuid)
            hostnames = await _stored(connection, [record.hostname for _, record in piece], *of_hosts)
            for storage, (place, record) in zip(uuids, piece, strict=True):
                if storage in there or record.hostname in hostnames:
                    continue
                there.add(storage)
                if _is_tracked(record):
                    tracked.append(storage)
                self._add_storage(rows, storage, place, record)
                await self._add_tags(connection, rows, (storage, "BackupStorageVO"), place, record)
                await rows.insert_if_many()
        await rows.insert()
        return tracked

    def _add_storage(self, rows: RowBatch, storage: str, place: Place, record: BackupStorageRecord) -> None:
        tracked = _is_tracked(record)
        values: dict[str, object] = {
            name: getattr(record, name) for name in ("name", "description", "url", "type", "state")
        }
        values |= {"status": Status.CONNECTING, "totalCapacity": 0, "availableCapacity": 0, "tracked": tracked}
        if not tracked:
            values |= {name: getattr(record, name) for name in ("status", "totalCapacity", "availableCapacity")}
        dates = dates_of(record, self._now)
        rows.add(BackupStorage, place, {"uuid": storage, **values, **dates})
        if record.type in HOSTS:
            host = {name: getattr(record, name) for name in ("hostname", "username", "sshPort")}
            password = self._vault.encrypt(self._open(record.password, (*place, "password")))
            rows.add(HOSTS[record.type], place, {"uuid": storage, "password": password, **host})
        for zone in record.attachedZoneUuids:
            rows.add(BackupStorageZoneRef, place, {"backupStorageUuid": storage, "zoneUuid": zone, **dates})

    async def _add_tags(
        self,
        connection: AsyncConnection,
        rows: _TaggedRows,
        resource: tuple[str, str],
        place: Place,
        record: ZoneRecord | BackupStorageRecord | ImageRecord | WebHookRecord,
    ) -> None:
        """Add the tags of a record; `resource` is its uuid and its type. Raise RecordProblem."""
        tagged = {"resourceUuid": resource[0], "resourceType": resource[1]}
        of_both = ((SystemTag, "systemTags", record.systemTags), (UserTag, "userTags", record.userTags))
        for model, field, tags in of_both:
            for number, tag in enumerate(tags):
                whole = TagRecord(tag=tag) if isinstance(tag, str) else tag
                if whole.tagPatternUuid not in rows.patterns:
                    rows.patterns.add(whole.tagPatternUuid)
                    await self._add_pattern_of(connection, whole)
                rows.add(model, (*place, field, number), self._tag(model, whole) | tagged)
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
        rows = _TaggedRows(connection)
        there = set[str]()
        accounts: dict[str, str] = {}
        for piece in placed("images", records):
            uuids = [uuid_of("image", record) for _, record in piece]
            there |= await _stored(connection, uuids, Image.uuid)
            named = {name for _, record in piece for name in (record.account, *record.sharedWith)}
            await _find_accounts(connection, accounts, named)
            for image, (place, record) in zip(uuids, piece, strict=True):
                if image in there:
                    continue
                there.add(image)
                self._add_image(rows, image, place, record, accounts)
                await self._add_tags(connection, rows, (image, "ImageVO"), place, record)
                await rows.insert_if_many()
        await rows.insert()

    def _add_image(
        self, rows: RowBatch, image: str, place: Place, record: ImageRecord, accounts: Mapping[str, str]
    ) -> None:
        apart = {"uuid", "account", "sharedWith", "toPublic", "backupStorageRefs", *_WRITTEN_APART}
        owner = _account(accounts, (*place, "account"), record.account)
        values = record.model_dump(exclude=apart) | {"accountUuid": owner}
        rows.add(Image, place, {"uuid": image, **values, **dates_of(record, self._now)})
        for number, ref in enumerate(record.backupStorageRefs):
            dates = dates_of(ref if ref.createDate else record, self._now)
            row = {"imageUuid": image, **ref.model_dump(exclude=_WRITTEN_APART), **dates}
            rows.add(ImageBackupStorageRef, (*place, "backupStorageRefs", number), row)
        self._add_shares(rows, image, place, record, accounts)

    def _add_shares(
        self, rows: RowBatch, image: str, place: Place, record: ImageRecord, accounts: Mapping[str, str]
    ) -> None:
        """Share an image, as admin does it: nobody else shares (observed 10)."""
        receivers: list[str | None] = [
            _account(accounts, (*place, "sharedWith", number), name) for number, name in enumerate(record.sharedWith)
        ]
        for receiver in (*receivers, *((None,) if record.toPublic else ())):
            shared = {"resourceUuid": image, "resourceType": "ImageVO", "ownerAccountUuid": ADMIN_UUID}
            to = {"receiverAccountUuid": receiver, "toPublic": receiver is None}
            rows.add(SharedResource, place, {**shared, **to, **dates_of(record, self._now)})

    async def _add_trash(self, connection: AsyncConnection, place: Place, record: TrashRecord) -> None:
        """Insert an item of the trash, unless the storage has one with this path. Raise RecordProblem."""
        same = (Recycle.storageUuid == record.storageUuid, Recycle.installPath == record.installPath)
        if await connection.scalar(select(Recycle.trashId).where(*same)) is not None:
            return
        if await connection.scalar(select(BackupStorage.uuid).where(BackupStorage.uuid == record.storageUuid)) is None:
            raise RecordProblem((*place, "storageUuid"), f"no backup storage has the uuid {record.storageUuid}")
        values = record.model_dump() | {"createDate": record.createDate or self._now}
        with unique(place):
            await connection.execute(insert(Recycle), values)

    async def _add_access_keys(self, connection: AsyncConnection, records: Sequence[AccessKeyRecord]) -> None:
        rows = RowBatch(connection)
        there = set[str]()
        accounts: dict[str, str] = {}
        for piece in placed("accessKeys", records):
            there |= await _stored(connection, [record.accessKeyId for _, record in piece], AccessKey.AccessKeyID)
            await _find_accounts(connection, accounts, {record.account for _, record in piece})
            for place, record in piece:
                if record.accessKeyId in there:
                    continue
                there.add(record.accessKeyId)
                account = _account(accounts, (*place, "account"), record.account)
                user = account if record.user is None else await _user(connection, account, place, record.user)
                rows.add(AccessKey, place, self._access_key(place, record, account, user))
                await rows.insert_if_many()
        await rows.insert()

    def _access_key(self, place: Place, record: AccessKeyRecord, account: str, user: str) -> dict[str, object]:
        secret = self._open(record.accessKeySecret, (*place, "accessKeySecret"))
        return {
            "uuid": record.uuid or new_uuid(),
            "accountUuid": account,
            "userUuid": user,
            "description": record.description,
            "AccessKeyID": record.accessKeyId,
            "AccessKeySecret": self._vault.encrypt(secret),
            "state": record.state,
            **dates_of(record, self._now),
        }

    def _open(self, secret: str | Sealed, place: Place) -> str:
        """Return a secret in plain text. Raise RecordProblem."""
        if isinstance(secret, str):
            return secret
        try:
            return self._vault.decrypt(secret.sealed)
        except DatabaseError:
            raise RecordProblem(place, "is sealed with the key file of another node") from None

    def _protect(self, password: str | Sealed, place: Place) -> str:
        """Return what to store of a password, given in plain text or sealed. Raise RecordProblem.

        Snapshots of older versions hold the sealed SHA-512 that clients send, instead of the sealed hash of that.
        """
        if isinstance(password, str):
            return self._vault.protect(hashlib.sha512(password.encode()).hexdigest())
        opened = self._open(password, place)
        return opened if is_protected(opened) else self._vault.protect(opened)
