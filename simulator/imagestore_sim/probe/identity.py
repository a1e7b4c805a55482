"""Private keys from identity files, and why a file has none."""

from __future__ import annotations

import logging
from pathlib import Path

import asyncssh

from imagestore_sim.whole_files import read_bytes

logger = logging.getLogger(__name__)
_LONGEST = 1024 * 1024  # bytes of a file that is read for a key


def read_identity(path: Path) -> asyncssh.SSHKey:
    """Return the private key in a file. Raise ValueError, with what to do, without a key or with a passphrase."""
    try:
        text = read_bytes(path, _LONGEST)
        mode = path.stat().st_mode
        if mode & 0o077:
            logger.warning("identity file %s: others may read it (mode %03o); chmod 600 it", path, mode & 0o777)
        return asyncssh.import_private_key(text)
    except PermissionError as error:
        raise ValueError(f"identity file {path}: {error.strerror}: this user may not read it") from error
    except OSError as error:
        raise ValueError(f"identity file {path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"identity file {path}: {_explain(text, path, str(error))}") from error


def _explain(text: bytes, path: Path, error: str) -> str:
    if text.startswith(b"PuTTY-User-Key-File-"):
        return f"a key of PuTTY; convert it: puttygen {path.name} -O private-openssh -o {path.stem}"
    if "passphrase" in error.lower():
        return f"{error}: it cannot be asked for here; remove it: ssh-keygen -p -f {path.name}"
    if _is_public(text):
        return f"a public key; name the private one, {_private_name(path)}"
    return error if text.strip() else "is empty"


def _is_public(text: bytes) -> bool:
    try:
        asyncssh.import_public_key(text)
    except ValueError:
        return text.startswith((b"ssh-", b"ecdsa-", b"sk-", b"---- BEGIN SSH2 PUBLIC KEY", b"-----BEGIN PUBLIC KEY"))
    return True


def _private_name(path: Path) -> str:
    return path.stem if path.suffix == ".pub" else "which has no .pub at its end"
