"""Who makes a call: what it claims, and the account or user that the claim stands for (wire-protocol 2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from imagestore_sim.database.models import ADMIN_UUID


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller: an account, or a user of one. For an account itself both uuids are the same."""

    account_uuid: str
    user_uuid: str

    @property
    def is_user(self) -> bool:
        """Return whether the caller is a user of an account, not the account itself."""
        return self.user_uuid != self.account_uuid

    @property
    def is_admin(self) -> bool:
        """Return whether the caller may do everything: the admin account and its users."""
        return self.account_uuid == ADMIN_UUID


class NoClaim(Enum):
    """Why a message of the legacy API makes no claim; the value is ZStack's error text."""

    NO_SESSION = "session of message[{}] is null"
    NO_UUID = "session uuid is null"


Claim = Identity | str | NoClaim | None
"""Who a call claims to come from.

An Identity has been proved by a signature; a string is the uuid of a session, not checked yet; None is for an API that
needs no session.
"""
