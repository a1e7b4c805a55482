"""What goes over the wire between nodes and the sshd of a host in a container, and when: whatever the host makes of it.

A container beside the host, in its network, prints a line for each packet of port 22 that carries data or begins a
connection, with the kernel's own time. So a busy sshd, and a busy reader of this, change no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from compose.compose_lab import run, succeed

BEGINS = "watching"
_PROGRAM = f"""
import socket, struct
STAMPS, ALL, OUTGOING, SYN = 35, 3, 4, 2  # SO_TIMESTAMPNS, ETH_P_ALL, PACKET_OUTGOING, the flag of TCP
packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL))
packets.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
print("{BEGINS}", flush=True)
while True:
    data, stamps, _, (_, _, way, *_) = packets.recvmsg(65_536, 64)
    header = (data[0] & 15) * 4
    if data[0] >> 4 != 4 or data[9] != socket.IPPROTO_TCP:
        continue
    source, target = struct.unpack_from(">HH", data, header)
    if 22 not in (source, target):
        continue
    length = struct.unpack_from(">H", data, 2)[0] - header - (data[header + 12] >> 4) * 4
    if length <= 0 and not data[header + 13] & SYN:
        continue
    peer, port = (data[12:16], source) if target == 22 else (data[16:20], target)
    seconds, nanoseconds = struct.unpack("qq", stamps[0][2])
    word = "host" if way == OUTGOING else "node"
    what = "data" if length > 0 else "begin"
    print(word, f"{{seconds}}.{{nanoseconds:09}}", socket.inet_ntoa(peer), port, what, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Ping:
    """A connection of a node to a host; times in epoch seconds."""

    node: str
    began: float
    """When its first packet came."""
    sent: float
    """When the last data of the node came: a command, or what comes after it."""
    answered: float
    """When the last data of the host went, 0.0 without any."""


class Wire:
    """What is seen of one host's wire."""

    def __init__(self, container: str) -> None:
        self._container = container

    async def pings(self, nodes: Mapping[str, str]) -> list[Ping]:
        """Return all pings so far, in the order in which they began; `nodes` are by address."""
        return sorted(_pings((await run("docker", "logs", self._container)).output, nodes), key=lambda one: one.began)


def _pings(lines: str, nodes: Mapping[str, str]) -> Iterator[Ping]:
    open_: dict[tuple[str, str], Ping] = {}
    for line in lines.splitlines()[1:]:
        who, moment, address, port, what = line.split()
        if address not in nodes:
            continue  # the host's own check of its health
        key, at = (address, port), float(moment)
        ping = open_.get(key)
        if who == "node" and what == "begin" and (ping is None or ping.answered):  # a port is used again
            if ping is not None:
                yield ping
            open_[key] = Ping(nodes[address], at, at, 0.0)
        elif ping is not None and what == "data":
            open_[key] = replace(ping, sent=at) if who == "node" else replace(ping, answered=at)
    yield from open_.values()


@asynccontextmanager
async def watching(host: str, image: str) -> AsyncIterator[Wire]:
    """Watch the wire of a host's container for the block, by a container of an image that has Python."""
    beside = ["--network", f"container:{host}", "--cap-add", "NET_RAW", "--user", "root", "--no-healthcheck"]
    program = ["--entrypoint", "python", image, "-c", _PROGRAM]
    container = (await succeed("docker", "run", "-d", "--rm", *beside, *program)).strip()
    try:
        async with asyncio.timeout(60):
            while BEGINS not in (await run("docker", "logs", container)).output:
                await asyncio.sleep(0.1)
        yield Wire(container)
    finally:
        await succeed("docker", "kill", container)
