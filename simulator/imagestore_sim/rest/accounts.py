"""Accounts and their users as callers: passwords are checked here (wire-protocol 2.4)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select

from imagestore_sim.database import Database, Vault
from imagestore_sim.database.collated import general_ci
from imagestore_sim.database.models import Account, User
from imagestore_sim.rest.errors import WRONG_PASSWORD, WRONG_USER, ApiError, ErrorCode
from imagestore_sim.rest.identity import Identity

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

ADMIN_NAME = "admin"
DEFAULT_PASSWORD = "password"  # noqa: S105 - the password that clients expect of a fresh node
LOGIN_STEP = "process-login (location:2/2)"


class Accounts:
    """Checks names and passwords against the store. Passwords arrive as their SHA-512 in hex."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def identify_account(self, name: str, password: str, *, known_type: bool) -> Identity:
        """Return the account of that name. Raise ApiError ID.1000 for a wrong name or password.

        Without `known_type` the account is of a type that does not exist, and the login fails as for a wrong name.
        """
        rows = await self._database.read(select(Account.uuid, Account.password).where(_is_named(Account.name, name)))
        if not self._is_password(password, rows[0].password if rows else None) or not known_type:
            raise ApiError(
                ErrorCode("ID.1000", "wrong account name or password", explanation=WRONG_PASSWORD, location=LOGIN_STEP)
            )
        return Identity(rows[0].uuid, rows[0].uuid)

    async def identify_user(
        self, name: str, password: str, *, account_uuid: str | None, account_name: str | None
    ) -> Identity:
        """Return the user of that name in the account given by uuid or, without one, by name.

        Raise ApiError ID.1000 for a wrong account, name or password.
        """
        in_account: ColumnElement[bool] = Account.uuid == account_uuid
        if account_uuid is None:
            in_account = _is_named(Account.name, account_name or "")
        users = select(User.uuid, User.accountUuid, User.password).join(Account, Account.uuid == User.accountUuid)
        rows = await self._database.read(users.where(in_account, _is_named(User.name, name)))
        if not self._is_password(password, rows[0].password if rows else None):
            raise wrong_user()
        return Identity(rows[0].accountUuid, rows[0].uuid)

    async def find(self, name: str) -> Identity | None:
        """Return the account of that name, None if there is none."""
        rows = await self._database.read(select(Account.uuid).where(_is_named(Account.name, name)))
        return Identity(rows[0].uuid, rows[0].uuid) if rows else None

    async def has_default_password(self) -> bool:
        """Return whether admin still logs in with the password of a fresh node."""
        rows = await self._database.read(select(Account.password).where(Account.name == ADMIN_NAME))
        sent = hashlib.sha512(DEFAULT_PASSWORD.encode()).hexdigest()
        return any(self._vault.is_password(sent, row.password) for row in rows)

    def _is_password(self, given: str, stored: str | None) -> bool:
        """Check also where nothing is stored: a wrong name then takes as long as a wrong password."""
        return self._vault.is_password(given.rstrip(" "), stored)


def wrong_user() -> ApiError:
    """Return the error for a user who does not exist, or whose password is another one."""
    return ApiError(ErrorCode("ID.1000", "wrong account or username or password", explanation=WRONG_USER))


def _is_named(column: InstrumentedAttribute[str], name: str) -> ColumnElement[bool]:
    """Compare names as ZStack's database does: ignoring case, accents and trailing blanks."""
    return general_ci(column) == general_ci(name)
