"""The targets of `probe`: from the command line, from standard input, and from an inventory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from imagestore_sim.cli.exits import InputError
from imagestore_sim.probe import Target
from imagestore_sim.probe.place import parse_place

SSH_PORT, AGENT_PORT = 22, 8000
STANDARD_INPUT = "-"
MOST = 10_000
MOST_BYTES = 4 * 1024 * 1024


class Asked(NamedTuple):
    """A target, and what people call it."""

    name: str
    target: Target


class Given(NamedTuple):
    """What the command line says of the targets that are named there and on standard input."""

    url: str | None
    password: str | None
    agent: bool


def read_targets(words: Sequence[str], inventory: Path | None, given: Given) -> list[Asked]:
    """Return all targets, each once. Raise InputError."""
    found: dict[Target, Asked] = {}
    for one in _all(words, inventory, given):
        found.setdefault(one.target, one)
        if len(found) > MOST:
            raise InputError(f"more than {MOST} targets")
    if not found:
        raise InputError("no target: expected [USER@]HOST[:PORT], - to read them from standard input, or --inventory")
    return list(found.values())


def is_one(words: Sequence[str], inventory: Path | None) -> bool:
    """Return whether the command line names one target, and nothing that may hold several."""
    return len(words) == 1 and words[0] != STANDARD_INPUT and inventory is None


def _all(words: Sequence[str], inventory: Path | None, given: Given) -> Iterator[Asked]:
    for word in words:
        if word == STANDARD_INPUT:
            yield from _from_lines(_standard_input(), given)
        else:
            yield _parse(word, None, given)
    if inventory is not None:
        yield from _from_inventory(inventory, agent=given.agent)


def _standard_input() -> str:
    raw = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise InputError(f"standard input: more than {MOST_BYTES} bytes")
    return raw.decode("utf-8", "replace")


def _from_lines(text: str, given: Given) -> Iterator[Asked]:
    """Yield the targets of lines `[USER@]HOST[:PORT] [PATH]`; `#` begins a comment."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if len(words) > 2:
                raise InputError("expected [USER@]HOST[:PORT], and its PATH where that is not --url")
            yield _parse(words[0], words[1] if len(words) == 2 else None, given)
        except InputError as error:
            raise InputError(f"standard input, line {number}: {error}") from None


def _parse(text: str, path: str | None, given: Given) -> Asked:
    """Return a target; root by default. Raise InputError."""
    try:
        user, host, port = parse_place(text)
    except ValueError as error:
        raise InputError(str(error)) from None
    url = path or given.url
    if url is None and not given.agent:
        raise InputError("--url is required")
    if url is not None and not url.startswith("/"):
        raise InputError(f"{path} is not an absolute path" if path else f"--url: {url} is not an absolute path")
    default = AGENT_PORT if given.agent else SSH_PORT
    target = Target(host, port or default, user or "root", url or "/", given.password)
    return Asked(f"{text} {path}" if path else text, target)


def _from_inventory(file: Path, *, agent: bool) -> Iterator[Asked]:
    """Yield the backup storages of a bootstrap file that a node would probe. Raise InputError."""
    from imagestore_sim.bootstrap import BootstrapError, read_bootstrap

    try:
        records = read_bootstrap(file).backupStorages
    except BootstrapError as error:
        raise InputError(str(error)) from None
    for record in records:
        if record.hostname is None or not record.tracked:
            continue
        if not isinstance(record.password, str):
            raise InputError(f"{file}: {record.name}: its password is encrypted for the node of the snapshot")
        port = AGENT_PORT if agent else record.sshPort
        yield Asked(record.name, Target(record.hostname, port, record.username, record.url, record.password))
