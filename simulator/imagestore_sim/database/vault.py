"""Encryption and hashing of secrets at rest, with a key in a file of its own that only its owner can read.

Passwords of hosts are encrypted, since hosts must be shown them again. Passwords of accounts and uuids of sessions are
only ever compared, so they are stored as keyed hashes (HMAC-SHA-256): without the key file, a copy of the database is
of no use for logging in or for guessing. A slow hash would add seconds but no safety: in a lab, five hundred clients
often log in at once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from cryptography.fernet import Fernet, InvalidToken

from imagestore_sim import whole_files
from imagestore_sim.database.cancellation import complete
from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.location import FORBIDDEN_RIGHTS, connect_read_only, file_of, url_of
from imagestore_sim.database.mariadb.address import shown

PROTECTED = "hmac-sha256"
SALT_BYTES = 16
ANY_SECRET = f"""
SELECT password FROM ImageStoreBackupStorageVO UNION ALL SELECT password FROM SftpBackupStorageVO
UNION ALL SELECT AccessKeySecret FROM AccessKeyVO
UNION ALL SELECT password FROM AccountVO WHERE password LIKE '{PROTECTED}$%' LIMIT 1
"""  # noqa: S608 - a constant

LONGEST_KEY = 4096
"""Bytes of a key file that are read; it has 44."""
KEY_SETTING = "IMAGESTORE_SIM_VAULT_KEY"
"""The variable of the setting `vault_key`."""
KEY_OPTION = f"--vault-key ({KEY_SETTING})"
"""How messages name that setting."""
KEY_IS_MISSING = f"needs the key of the passwords that it holds; give --vault-key-file FILE, or {KEY_SETTING}"


class Reading(Protocol):
    """What is asked of an open database."""

    async def fetch(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return all rows of SQL."""


class Vault:
    """Encrypts, decrypts and hashes with one key."""

    def __init__(self, key: bytes, source: str) -> None:
        """Take a key, and where it comes from, for messages. Raise ValueError for what is no key."""
        self._fernet = Fernet(key)
        self._hash_key = hmac.digest(key, b"imagestore-sim: what is only compared", "sha256")
        self._key_id = self._hash("key", "")[:8]
        self._source = source

    @classmethod
    def beside(cls, location: str) -> Vault:
        """Open the vault of a database file, whose key is beside it in `FILE.key`. Raise DatabaseError.

        The key is created if the database holds no secret yet; otherwise it must match the stored secrets.
        """
        file = file_of(location)
        if file is None:
            raise DatabaseError(f"{shown(url_of(location))}: {KEY_IS_MISSING}")
        key_file = file.with_name(file.name + ".key")
        stored = _any_secret_in(file)
        if stored is None:
            return cls.open(key_file)
        if not key_file.exists():
            how = "put it back, or give it by --vault-key-file"
            raise DatabaseError(f"{key_file}: the key file is gone that the passwords in {file} need; {how}")
        vault = cls.open(key_file)
        vault.check(stored)
        return vault

    @classmethod
    def open(cls, key_file: Path) -> Vault:
        """Open the vault of a key file, creating the file if it does not exist. Raise DatabaseError."""
        try:
            if not key_file.exists():
                _create(key_file)
            rights = key_file.stat().st_mode
            key = whole_files.read_bytes(key_file, LONGEST_KEY).strip()
        except OSError as error:
            raise DatabaseError(f"{key_file}: the key file cannot be used: {error.strerror}") from None
        if rights & FORBIDDEN_RIGHTS:
            raise DatabaseError(f"{key_file}: others than its owner may use the key file; run chmod 600 on it")
        try:
            return cls(key, str(key_file))
        except ValueError:
            raise DatabaseError(f"{key_file}: this is no key file, it must hold the key it was made with") from None

    @classmethod
    def of_key(cls, key: str) -> Vault:
        """Return the vault of a key that a setting holds. Raise DatabaseError."""
        try:
            return cls(key.strip().encode(), KEY_OPTION)
        except ValueError:
            raise DatabaseError(f"{KEY_OPTION}: expected 32 bytes in URL-safe base64, 44 characters") from None

    def encrypt(self, text: str) -> str:
        """Return the token (Fernet) that stands for a secret."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """Return the secret that a token stands for. Raise DatabaseError if it was made with another key."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise self._wrong_key() from None

    def protect(self, password: str) -> str:
        """Return what to store of a password that clients send as SHA-512 in hex: `hmac-sha256$KEY ID$SALT$HASH`."""
        salt = secrets.token_hex(SALT_BYTES)
        return f"{PROTECTED}${self._key_id}${salt}${self._hash(salt, password.lower())}"

    def is_password(self, given: str, stored: str | None) -> bool:
        """Return whether a password, as a client sends it, is the stored one.

        `stored` is None for an unknown account; the comparison then takes equally long, so that the time does not
        reveal which accounts exist. Hex digits match in either case, as ZStack's database compares them.
        """
        fields = (stored or "").split("$")
        salt, expected = fields[2:] if len(fields) == 4 else ("", "")
        same = hmac.compare_digest(self._hash(salt, given.lower()), expected)
        return same and stored is not None

    def fingerprint(self, session_uuid: str) -> str:
        """Return what to store of a session's uuid: 32 hex digits, always the same ones for the same uuid."""
        return self._hash("session", session_uuid)[:32]

    def check(self, stored: str) -> None:
        """Raise DatabaseError for a stored secret of any kind that was made with another key."""
        if not stored.startswith(f"{PROTECTED}$"):
            self.decrypt(stored)
        elif stored.split("$")[1] != self._key_id:
            raise self._wrong_key()

    def derived(self, purpose: str) -> Fernet:
        """Return what seals messages for a purpose, with a key of its own that follows from this one."""
        return Fernet(base64.urlsafe_b64encode(bytes.fromhex(self._hash("derived", purpose))))

    def _hash(self, context: str, text: str) -> str:
        return hmac.digest(self._hash_key, f"{context}\0{text}".encode(errors="surrogatepass"), "sha256").hex()

    def _wrong_key(self) -> DatabaseError:
        return DatabaseError(f"{self._source}: this key does not belong to the database")


def is_protected(password: str) -> bool:
    """Return whether a text is the result of `protect`, rather than a password as clients send it."""
    return password.startswith(f"{PROTECTED}$")


async def open_vault(find: Callable[[], Vault], key_file: Path | None, database: Reading) -> Vault:
    """Return the vault that `find` opens, for an open database. Raise DatabaseError if its secrets have another key.

    `key_file` is the file in the settings, if there is one: it is made only where no secret needs the one that is gone.
    """
    stored = [str(secret) for (secret,) in await database.fetch(ANY_SECRET, ())]
    return await complete(asyncio.to_thread(_fitting, find, key_file, stored))


def _fitting(find: Callable[[], Vault], key_file: Path | None, stored: list[str]) -> Vault:
    if stored and key_file is not None and not key_file.exists():
        raise DatabaseError(
            f"{key_file}: there is no such file, and the passwords in the database need it; put it back"
        )
    vault = find()
    for secret in stored:
        vault.check(secret)
    return vault


def _any_secret_in(file: Path) -> str | None:
    """Return any one stored secret of a database; None if it has none, or does not exist yet."""
    with contextlib.suppress(sqlite3.Error), connect_read_only(file) as connection:
        row = connection.execute(ANY_SECRET).fetchone()
        return str(row[0]) if row else None
    return None


def _create(key_file: Path) -> None:
    """Create a key file that is complete and private from the moment it exists; keep one that another process made."""
    descriptor, name = tempfile.mkstemp(dir=key_file.parent, prefix=key_file.name)  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())  # if the key were lost in a crash, no password could be read again
        with contextlib.suppress(FileExistsError):
            os.link(name, key_file)
    finally:
        os.unlink(name)
