"""Passwords at rest: encrypted with a key that lies in a file of its own, readable by its owner alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from simulator.database.errors import DatabaseError
from simulator.database.location import file_of, looking_into

FORBIDDEN_RIGHTS = stat.S_IRWXG | stat.S_IRWXO
ANY_ENCRYPTED = """
SELECT password FROM ImageStoreBackupStorageVO UNION ALL SELECT password FROM SftpBackupStorageVO
UNION ALL SELECT AccessKeySecret FROM AccessKeyVO LIMIT 1
"""


class Vault:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: bytes, key_file: Path) -> None:
        self._fernet = Fernet(key)
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
        token = _any_token_in(file)
        if token is None:
            return cls.open(key_file)
        if not key_file.exists():
            raise DatabaseError(f"{key_file}: the key file is gone that the passwords in {file} need; put it back")
        vault = cls.open(key_file)
        vault.decrypt(token)
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
            raise DatabaseError(f"{self._key_file}: this key does not belong to the database beside it") from None


def _any_token_in(file: Path) -> str | None:
    """The token of any one secret in a database; None if there is none, or no such database yet."""
    with contextlib.suppress(sqlite3.Error), looking_into(file) as connection:
        row = connection.execute(ANY_ENCRYPTED).fetchone()
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
