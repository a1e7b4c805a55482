"""The accounts of a bootstrap file as rows: with their quotas, policies, users, groups and roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncConnection

from imagestore_sim.bootstrap.errors import Place, RecordProblem
from imagestore_sim.bootstrap.records import (
    AccountRecord,
    PolicyRecord,
    Sealed,
    UserGroupRecord,
    UserRecord,
    dates_of,
    stable_uuid,
    uuid_of,
)
from imagestore_sim.bootstrap.row_batch import RowBatch, pieces, placed, unique
from imagestore_sim.database.models import (
    ADMIN_UUID,
    Account,
    Policy,
    Quota,
    Role,
    User,
    UserGroup,
    UserGroupPolicyRef,
    UserGroupUserRef,
    UserPolicyRef,
)
from imagestore_sim.identity.accounts import default_policy, default_policy_uuid
from imagestore_sim.identity.quotas import quota_rows
from imagestore_sim.rest.accounts import ADMIN_NAME

TABLES = (Account, Quota, Policy, User, UserGroup, UserPolicyRef, UserGroupUserRef, UserGroupPolicyRef, Role)
"""In this order, so that each row comes after those that it refers to."""
Named = type[User | UserGroup | Policy | Role]
P = TypeVar("P", bound=PolicyRecord)
NAMED: tuple[Named, ...] = (User, UserGroup, Policy, Role)


class _Contents:
    """What an account has of all that its record names: uuids by name, and the uuids."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.has_quotas = False
        self._default = default_policy_uuid(account)
        self._named: dict[Named, dict[str, str]] = {model: {} for model in NAMED}
        self._uuids: dict[Named, set[str]] = {model: set() for model in NAMED}

    def add(self, model: Named, uuid: str, name: str) -> None:
        """Note a user, a group, a policy or a role. Of policies of one name that of the start counts, or the first."""
        named = self._named[model]
        named[name] = min(named.get(name, uuid), uuid, key=lambda one: (one != self._default, one))
        self._uuids[model].add(uuid)

    def has(self, model: Named, name: str) -> bool:
        """Return whether the account has one of that name."""
        return name in self._named[model]

    def has_uuid(self, model: Named, uuid: str) -> bool:
        """Return whether the account has the one of that uuid."""
        return uuid in self._uuids[model]

    @property
    def has_default_policy(self) -> bool:
        """Whether the account has the policy of its start, not just one of its name."""
        return self.has_uuid(Policy, self._default)

    def find(self, model: type[User | Policy], name: str, place: Place) -> str:
        """Return the uuid of a user or a policy by its name, or else that. Raise RecordProblem."""
        if self.has(model, name):
            return self._named[model][name]
        if self.has_uuid(model, name):
            return name
        raise RecordProblem(place, f"the account has no {model.__name__.lower()} of the name {name}")


class AccountRows:
    """Inserts accounts. What an account has already stays as it is."""

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        now: datetime,
        protect: Callable[[str | Sealed, Place], str],
        quotas: Mapping[str, int],
    ) -> None:
        """Take the date of what has none, and the quotas of new accounts.

        `protect` encrypts a password for the database. It names the given place in its errors.
        """
        self._connection = connection
        self._rows = RowBatch(connection, TABLES)
        self._now = now
        self._protect = protect
        self._quotas = quotas

    async def add(self, records: Sequence[AccountRecord], *, replace: bool) -> None:
        """Insert accounts; with `replace`, give those that are there password and description. Raise RecordProblem."""
        for piece in placed("accounts", records):
            named = select(Account.name, Account.uuid).where(Account.name.in_([one.name for _, one in piece]))
            there = dict((await self._connection.execute(named)).all())
            if replace:
                await self._change({there[one.name]: (place, one) for place, one in piece if one.name in there})
            known = await self._contents({there[one.name]: one for _, one in piece if one.name in there})
            for place, record in piece:
                account = there.get(record.name)
                await self._add(place, record, self._new(place, record) if account is None else known[account])
        await self._rows.insert()

    async def _change(self, accounts: Mapping[str, tuple[Place, AccountRecord]]) -> None:
        for dated in (False, True):
            changes = [
                (place, {"key": uuid, **self._values(place, one), **(dates_of(one, self._now) if dated else {})})
                for uuid, (place, one) in accounts.items()
                if (one.createDate is not None) == dated
            ]
            if not changes:
                continue
            columns: dict[str, object] = {name: bindparam(name) for name in changes[0][1]}
            del columns["key"]
            change = update(Account).where(Account.uuid == bindparam("key")).values(columns)
            try:
                await self._connection.execute(change, [row for _place, row in changes])
            except DataError:  # the store does not say which row it was
                for place, row in changes:
                    with unique(place):
                        await self._connection.execute(change, row)

    async def _contents(self, accounts: Mapping[str, AccountRecord]) -> dict[str, _Contents]:
        """Return what accounts that are there have of all that their records name."""
        found = {uuid: _Contents(uuid) for uuid in accounts}
        if not found:
            return found
        for model in NAMED:
            names = {name for uuid, one in accounts.items() for name in _names(model, uuid, one)}
            columns = select(model.accountUuid, model.uuid, model.name).where(model.accountUuid.in_(found))
            for piece in pieces(sorted(names)):
                asked = columns.where(or_(model.name.in_(piece), model.uuid.in_(piece)))
                for account, uuid, name in await self._connection.execute(asked):
                    found[account].add(model, uuid, name)
        with_quotas = select(Quota.identityUuid).where(Quota.identityUuid.in_(found)).distinct()
        for account in await self._connection.scalars(with_quotas):
            found[account].has_quotas = True
        return found

    def _new(self, place: Place, record: AccountRecord) -> _Contents:
        """Add the row of an account, and return that it has nothing yet."""
        is_admin = record.name == ADMIN_NAME
        account = ADMIN_UUID if is_admin else uuid_of("account", record)
        named = {"name": record.name, "type": "SystemAdmin" if is_admin else record.type}
        row = {"uuid": account, **named, **self._values(place, record), **dates_of(record, self._now)}
        self._rows.add(Account, place, row)
        return _Contents(account)

    def _values(self, place: Place, record: AccountRecord) -> dict[str, object]:
        password = self._protect(record.password, (*place, "password"))
        return {"description": record.description, "password": password}

    async def _add(self, place: Place, record: AccountRecord, its: _Contents) -> None:
        """Add the rows of what an account does not have yet."""
        if not its.has_quotas:
            quotas = {**self._quotas, **record.quotas}
            self._add_all(Quota, place, quota_rows(its.account, quotas, record.createDate or self._now))
        for uuid, number, policy in _new_of(Policy, record.policies, its):
            values = {"name": policy.name, "statements": policy.statements}
            its_own = {"uuid": uuid, "accountUuid": its.account}
            self._rows.add(Policy, (*place, "policies", number), its_own | values)
            await self._rows.insert_if_many()
        if record.reads and its.account != ADMIN_UUID and not its.has_default_policy:
            row = default_policy(its.account)
            self._rows.add(Policy, place, row)
            its.add(Policy, str(row["uuid"]), str(row["name"]))
        for number, user in enumerate(record.users):
            self._add_user((*place, "users", number), user, its)
            await self._rows.insert_if_many()
        for number, group in enumerate(record.groups):
            self._add_group((*place, "groups", number), group, its)
            await self._rows.insert_if_many()
        for uuid, number, role in _new_of(Role, record.roles, its):
            others = role.model_dump(exclude={"uuid", "createDate", "lastOpDate"})
            dated = {"uuid": uuid, "accountUuid": its.account, **dates_of(role, self._now)}
            self._rows.add(Role, (*place, "roles", number), dated | others)
            await self._rows.insert_if_many()
        await self._rows.insert_if_many()

    def _add_user(self, place: Place, user: UserRecord, its: _Contents) -> None:
        if its.has(User, user.name):
            return
        uuid = user.uuid or stable_uuid("user", f"{its.account}/{user.name}")
        password = self._protect(user.password, (*place, "password"))
        values = {"name": user.name, "description": user.description, "password": password}
        row = {"uuid": uuid, "accountUuid": its.account, **values, **dates_of(user, self._now)}
        self._rows.add(User, place, row)
        its.add(User, uuid, user.name)
        policies = [default_policy_uuid(its.account)] if user.reads and its.has_default_policy else []
        policies += _found(its, Policy, user.policies, (*place, "policies"))
        self._add_all(UserPolicyRef, place, ({"userUuid": uuid, "policyUuid": one} for one in policies), dated=True)

    def _add_group(self, place: Place, group: UserGroupRecord, its: _Contents) -> None:
        if its.has(UserGroup, group.name):
            return
        uuid = group.uuid or stable_uuid("group", f"{its.account}/{group.name}")
        values = {"name": group.name, "description": group.description, "lastOpDate": group.lastOpDate}
        created = group.createDate or self._now
        self._rows.add(UserGroup, place, {"uuid": uuid, "accountUuid": its.account, "createDate": created, **values})
        its.add(UserGroup, uuid, group.name)
        users = ({"groupUuid": uuid, "userUuid": one} for one in _found(its, User, group.users, (*place, "users")))
        self._add_all(UserGroupUserRef, place, users, dated=True)
        found = _found(its, Policy, group.policies, (*place, "policies"))
        policies = ({"groupUuid": uuid, "policyUuid": one} for one in found)
        self._add_all(UserGroupPolicyRef, place, policies, dated=True)

    def _add_all(
        self,
        model: type[Quota | UserPolicyRef | UserGroupUserRef | UserGroupPolicyRef],
        place: Place,
        rows: Iterable[Mapping[str, object]],
        *,
        dated: bool = False,
    ) -> None:
        dates = {"createDate": self._now, "lastOpDate": self._now} if dated else {}
        for row in rows:
            self._rows.add(model, place, {**row, **dates})


def _found(its: _Contents, model: type[User | Policy], names: Sequence[str], place: Place) -> list[str]:
    """Return the uuids of the users or policies that a list at `place` names. Raise RecordProblem."""
    return [its.find(model, name, (*place, number)) for number, name in enumerate(names)]


def _names(model: Named, account: str, record: AccountRecord) -> Iterator[str]:
    """Yield the names and uuids of what a record names, or has, of one table."""
    of_members: tuple[UserRecord | UserGroupRecord, ...] = (*record.users, *record.groups)
    if model is User:
        yield from (user.name for user in record.users)
        yield from (name for group in record.groups for name in group.users)
    elif model is UserGroup:
        yield from (group.name for group in record.groups)
    elif model is Policy:
        yield default_policy_uuid(account)
        yield from (name for member in of_members for name in member.policies)
        yield from _names_of(Policy, account, record.policies)
    else:
        yield from _names_of(Role, account, record.roles)


def _names_of(model: type[Policy | Role], account: str, records: Iterable[PolicyRecord]) -> Iterator[str]:
    for one in records:
        yield one.name
        yield _uuid(model, account, one)


def _new_of(model: type[Policy | Role], records: Sequence[P], its: _Contents) -> Iterator[tuple[str, int, P]]:
    """Yield the policies or roles whose names an account does not have yet, with uuid and index; and note them.

    Several of them may have one name, as in ZStack.
    """
    named: dict[str, tuple[int, P]] = {}
    for number, record in enumerate(records):
        uuid = _uuid(model, its.account, record)
        if not its.has(model, record.name) and not its.has_uuid(model, uuid):
            named.setdefault(uuid, (number, record))
    for uuid, (_, record) in named.items():
        its.add(model, uuid, record.name)
    yield from ((uuid, number, record) for uuid, (number, record) in named.items())


def _uuid(model: type[Policy | Role], account: str, record: PolicyRecord) -> str:
    return record.uuid or stable_uuid(model.__name__.lower(), f"{account}/{record.name}")
