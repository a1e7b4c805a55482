"""The files that `imagestore-sim host` writes about its hosts: records for a node, and their addresses."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from imagestore_sim.cli.exits import InputError
from imagestore_sim.host_names import host_and_port
from imagestore_sim.hosts.agent import PORT as AGENT_PORT

URL = "/Cloud_bs"
STANDARD_OUTPUT = Path("-")


def inventory(hosts: Mapping[str, str], ports: Mapping[str, int], username: str, password: str) -> Iterator[str]:
    """Yield the lines of a bootstrap file with a storage on each host; `hosts` maps names to hostnames."""
    yield f"# {len(hosts)} storages, for imagestore-sim serve --bootstrap, and imagestore-sim load\n"
    yield "backupStorages:\n"
    for name, hostname in hosts.items():
        record = {
            "name": name,
            "hostname": hostname,
            "username": username,
            "password": password,
            "sshPort": ports[name],
            "url": URL,
        }
        yield f"  - {json.dumps(record, ensure_ascii=False)}\n"


def hosts_file(hosts: Mapping[str, str], agents: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines of a file in the format of /etc/hosts; `hosts` maps names to addresses.

    `agents` maps names to the ports of agents that nodes are not to ask on AGENT_PORT: a line of its own says so.
    """
    for name, address in hosts.items():
        yield f"{address} {name}\n"
        if name in agents:
            yield f"{host_and_port(address, agents[name])} {name}:{AGENT_PORT}\n"


def write(file: Path, lines: Iterable[str], option: str) -> None:
    """Write lines to a file that only this user can read, or to standard output (`-`).

    Raise InputError, which names the option.
    """
    if file == STANDARD_OUTPUT:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
        return
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as opened:
            opened.writelines(lines)
    except OSError as error:
        raise InputError(f"{option} {file}: {error.strerror}") from None
