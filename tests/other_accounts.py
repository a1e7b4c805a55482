"""Accounts other than admin, and clients of them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fixed_data import B1
from imagestore_sim.testing import Client

PASSWORD, OTHER_PASSWORD = (hashlib.sha512(text).hexdigest() for text in (b"secret", b"other"))
ADMIN = "36c27e8ff05c4780bf6d2fa65700f22e"
ADD = {"name": "hers", "url": "ftp://files/i.qcow2", "format": "qcow2", "backupStorageUuids": [B1]}
"""An image for AddImage."""


async def new_account(admin: Client, name: str) -> str:
    """Create an account with the password `secret`, and return its uuid."""
    body = {"params": {"name": name, "password": PASSWORD}}
    return str((await admin.call("POST", "/accounts", body))["inventory"]["uuid"])


@asynccontextmanager
async def client_of(admin: Client, name: str, password: str = "secret") -> AsyncIterator[Client]:
    """Log in as another account of the same node."""
    async with Client(admin.url) as client:
        await client.log_in(name, password)
        yield client
