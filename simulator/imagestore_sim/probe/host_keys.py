"""Policies for host keys: trust any (as ZStack does), the first that a host shows, or those in a file."""

from __future__ import annotations

import fcntl
import logging
import os
import re
from enum import StrEnum
from pathlib import Path

import asyncssh

from imagestore_sim import whole_files
from imagestore_sim.probe.algorithms import host_key_algorithms

logger = logging.getLogger(__name__)
MOST_BAD_LINES = 10
"""Lines of known_hosts that cannot be read of which each is logged; the others are counted."""
Known = tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]
DEFAULT_PORT = 22
PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:%-]+", re.ASCII)
"""A name that means one host in known_hosts, not a pattern, a list, a comment or a marker."""


class HostKeyPolicy(StrEnum):
    """Which host keys are accepted."""

    IGNORE = "ignore"
    """Any: ZStack's own clients check no host key (domain 3.3)."""
    TOFU = "tofu"
    """The one that the host showed first, which is added to the file (trust on first use)."""
    STRICT = "strict"
    """Those that the file has for the host."""


class HostKeys:
    """The keys in a file in OpenSSH's known_hosts format, which is read again at a login if it has changed."""

    def __init__(self, policy: HostKeyPolicy, file: Path) -> None:
        """Read `file` unless host keys are ignored. Raise ValueError if it cannot be read."""
        self.policy = policy
        self.file = file
        self._read_at: int | None = None
        self._known: asyncssh.SSHKnownHosts | None = None
        self._noted: dict[str, asyncssh.SSHKey] = {}
        self._bad_lines: set[str] = set()
        self._more_bad_lines = 0
        self._first: bytes | None = None
        if policy is not HostKeyPolicy.IGNORE:
            self._read()
            self._first = whole_files.read_bytes(file) if file.exists() else None

    def restart(self) -> None:
        """Remove the keys that were added since the start, from the file too. Raise OSError."""
        if self.policy is not HostKeyPolicy.TOFU:
            return
        if self._first is not None:
            self.file.write_bytes(self._first)
        elif self.file.exists():
            self.file.unlink()
        self._noted.clear()
        self._read_at = None

    def trusted(self, host: str, address: str, port: int | None) -> Known:
        """Return the trusted, certifying and revoked keys of a host, in the form of asyncssh's `known_hosts`.

        Raise ValueError if the file cannot be read.
        """
        self._read()
        name = host.lower()
        noted = self._noted.get(_entry(name, port or DEFAULT_PORT))
        if self._known is None:
            return [noted] if noted else [], [], []
        keys, authorities, revoked, *_ = self._known.match(name, address, port)
        return list(keys) or ([noted] if noted else []), list(authorities), list(revoked)

    def algorithms(self, host: str, address: str, port: int | None) -> list[str]:
        """Return the host key algorithms to ask for, those of known keys first. Raise ValueError.

        The others follow, so that a host without the known keys shows another one instead of hanging up.
        """
        keys, authorities, _ = self.trusted(host, address, port)
        known = [algorithm.decode() for key in keys for algorithm in key.sig_algorithms]
        return host_key_algorithms(known, authorities=bool(authorities))

    def judge(self, host: str, address: str, port: int, key: asyncssh.SSHKey) -> str | None:
        """Return what is wrong with a key that was not trusted when the login began; None for one that is by now.

        The first key under TOFU is added: when keys are exchanged again on its connection, it is known.
        """
        shown = f"{key.get_algorithm()} {key.get_fingerprint()}"
        known, _, _ = self.trusted(host, address, None if port == DEFAULT_PORT else port)
        if key in known:
            return None
        if known:
            expected = ", ".join(dict.fromkeys(f"{one.get_algorithm()} {one.get_fingerprint()}" for one in known))
            return f"the host shows the key {shown}, but {self.file} has {expected}"
        if not PLAIN_NAME.fullmatch(host):
            return f"the host goes by {host!r}, which a line of {self.file} would take for a pattern"
        if self.policy is HostKeyPolicy.STRICT:
            return f"the host shows the key {shown}, but {self.file} has none for it"
        self._note(host, port, key)
        return None

    def _note(self, host: str, port: int, key: asyncssh.SSHKey) -> None:
        """Add a key to the file. If that fails, trust it until this process ends, as ssh does."""
        name = _entry(host.lower(), port)
        self._noted[name] = key
        line = f"{name} {key.export_public_key('openssh').decode().strip()}\n"
        try:
            _append(self.file, line.encode())
        except OSError as error:
            logger.warning("known hosts %s: the key of %s cannot be noted: %s", self.file, name, error.strerror)
        self._read_at = None

    def _read(self) -> None:
        try:
            changed = self.file.stat().st_mtime_ns
            if changed != self._read_at:
                self._known = self._parse(whole_files.read_text(self.file, errors="surrogateescape"))
                self._read_at = changed
        except FileNotFoundError:
            self._known, self._read_at = None, None
        except OSError as error:
            raise ValueError(f"known hosts {self.file}: {error.strerror}") from error

    def _parse(self, text: str) -> asyncssh.SSHKnownHosts:
        """Return the entries of the file; skip bad lines, as ssh does, and log each once."""
        known = asyncssh.SSHKnownHosts()
        more = 0
        for number, line in enumerate(text.splitlines(), 1):
            try:
                known.load(line)
            except ValueError as error:
                if line in self._bad_lines:
                    continue
                if len(self._bad_lines) < MOST_BAD_LINES:
                    self._bad_lines.add(line)
                    logger.warning("known hosts %s: line %d is passed over: %.200s", self.file, number, error)
                else:
                    more += 1
        if more != self._more_bad_lines:
            self._more_bad_lines = more
            logger.warning("known hosts %s: %d more lines are passed over", self.file, more)
        return known


def _entry(host: str, port: int) -> str:
    return host if port == DEFAULT_PORT else f"[{host}]:{port}"


def _append(file: Path, line: bytes) -> None:
    """Append a line to a file that others may append to at the same time, and whose last line may be unfinished."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
