"""Secrets at rest, under a key that lies in a file of its own, readable by its owner alone.

What has to be shown to a host again is encrypted. What is only ever compared, the passwords of accounts and the uuids
of sessions, is kept as a keyed hash (HMAC-SHA-256): a copy of the database alone neither logs in nor can be guessed at.
A slow hash would add nothing to that but seconds: five hundred clients that log in at once are usual in a lab.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import sqlite3
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.location import FORBIDDEN_RIGHTS, connect_read_only, file_of

PROTECTED = "hmac-sha256"
SALT_BYTES = 16
ANY_SECRET = f"""
SELECT password FROM ImageStoreBackupStorageVO UNION ALL SELECT password FROM SftpBackupStorageVO
UNION ALL SELECT AccessKeySecret FROM AccessKeyVO
UNION ALL SELECT password FROM AccountVO WHERE password LIKE '{PROTECTED}$%' LIMIT 1
"""  # noqa: S608 - a constant


class Vault:
    """Encrypts, decrypts and hashes with one key."""

    def __init__(self, key: bytes, key_file: Path) -> None:
        self._fernet = Fernet(key)
        self._hash_key = hmac.digest(key, b"imagestore-sim: what is only compared", "sha256")
        self._key_id = self._hash("key", "")[:8]
        self._key_file = key_file

    @classmethod
    def beside(cls, location: str) -> Vault:
        """The vault whose key lies beside a database file: `imagestore-sim.db.key`.

        A key is made for a database that holds no secret yet, and must fit one that does. Raises DatabaseError.
        """
        file = file_of(location)
        if file is None:
            raise DatabaseError("a database that is no file has no place for its key; only files are served as yet")
        key_file = file.with_name(file.name + ".key")
        stored = _any_secret_in(file)
        if stored is None:
            return cls.open(key_file)
        if not key_file.exists():
            raise DatabaseError(f"{key_file}: the key file is gone that the passwords in {file} need; put it back")
        vault = cls.open(key_file)
        vault.check(stored)
        return vault

    @classmethod
    def open(cls, key_file: Path) -> Vault:
        """The vault of a key file, which is made if there is none. Raises DatabaseError."""
        try:
            if not key_file.exists():
                _make(key_file)
            rights = key_file.stat().st_mode
            key = key_file.read_bytes().strip()
        except OSError as error:
            raise DatabaseError(f"{key_file}: the key file cannot be used: {error.strerror}") from None
        if rights & FORBIDDEN_RIGHTS:
            raise DatabaseError(f"{key_file}: others than its owner may use the key file; run chmod 600 on it")
        try:
            return cls(key, key_file)
        except ValueError:
            raise DatabaseError(f"{key_file}: this is no key file, it must hold the key it was made with") from None

    def encrypt(self, text: str) -> str:
        """The token that stands for a secret."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The secret that a token stands for. Raises DatabaseError if it was made with another key."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise self._wrong_key() from None

    def protect(self, password: str) -> str:
        """What is stored of a password as clients send it, SHA-512 in hex: `hmac-sha256$KEY ID$SALT$HASH`."""
        salt = secrets.token_hex(SALT_BYTES)
        return f"{PROTECTED}${self._key_id}${salt}${self._hash(salt, password.lower())}"

    def is_password(self, given: str, stored: str | None) -> bool:
        """Whether a password as a client sends it is the one that is stored; `stored` is None where there is no such
        account, which takes as long to tell. Hex may come in either case, as ZStack's database compares it."""
        parts = (stored or "").split("$")
        salt, expected = parts[2:] if len(parts) == 4 else ("", "")
        same = hmac.compare_digest(self._hash(salt, given.lower()), expected)
        return same and stored is not None

    def fingerprint(self, session_uuid: str) -> str:
        """What is stored of a session's uuid: 32 hex digits, always the same ones for the same uuid."""
        return self._hash("session", session_uuid)[:32]

    def check(self, stored: str) -> None:
        """Raises DatabaseError for a stored secret, of whatever kind, that was made with another key."""
        if not stored.startswith(f"{PROTECTED}$"):
            self.decrypt(stored)
        elif stored.split("$")[1] != self._key_id:
            raise self._wrong_key()

    def _hash(self, context: str, text: str) -> str:
        return hmac.digest(self._hash_key, f"{context}\0{text}".encode(errors="surrogatepass"), "sha256").hex()

    def _wrong_key(self) -> DatabaseError:
        return DatabaseError(f"{self._key_file}: this key does not belong to the database beside it")


def is_protected(password: str) -> bool:
    """Whether a text is what `protect` makes, and not a password as clients send it."""
    return password.startswith(f"{PROTECTED}$")


def _any_secret_in(file: Path) -> str | None:
    """Any one secret as a database holds it; None if there is none, or no such database yet."""
    with contextlib.suppress(sqlite3.Error), connect_read_only(file) as connection:
        row = connection.execute(ANY_SECRET).fetchone()
        return str(row[0]) if row else None
    return None


def _make(key_file: Path) -> None:
    """Make a key file that is whole and its owner's alone from the moment it is there, whoever else makes one too."""
    descriptor, name = tempfile.mkstemp(dir=key_file.parent, prefix=key_file.name)  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())  # without it no password can be read ever again
        with contextlib.suppress(FileExistsError):
            os.link(name, key_file)
    finally:
        os.unlink(name)
