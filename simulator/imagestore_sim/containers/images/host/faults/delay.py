#!/usr/bin/python3
"""Delays packets: the kernel queues them (iptables -j NFQUEUE), and this program accepts each when it is due.

`delay.py QUEUE FOLDER`: each file of FOLDER is a fault: `DELAY JITTER RATE`, in seconds and bytes a second (0: no
limit). The program reads them again at SIGHUP. FOLDER.ready exists as soon as it receives packets. It runs until it is
killed.
"""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import struct
import sys
from pathlib import Path

NETLINK_NETFILTER, NFNL_SUBSYS_QUEUE = 12, 3
PACKET, VERDICT, CONFIGURE = 0, 1, 2
CMD, PARAMS, FLAGS_MASK, FLAGS = 1, 2, 4, 5  # attributes of CONFIGURE
BIND, COPY_PACKET, FAIL_OPEN = 1, 2, 1
HEADER_ATTRIBUTE, VERDICT_ATTRIBUTE, PAYLOAD_ATTRIBUTE = 1, 2, 10
ACCEPT = 1
COPIED = 4  # bytes of a packet: up to the total length in its IPv4 header
BUFFER = 8 * 2**20


def attribute(kind: int, body: bytes) -> bytes:
    """Return a netlink attribute."""
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def message(kind: int, queue: int, body: bytes) -> bytes:
    """Return a message for the kernel's packet queue."""
    head = struct.pack("=IHHII", 20 + len(body), NFNL_SUBSYS_QUEUE << 8 | kind, 1, 0, 0)
    return head + struct.pack(">BBH", socket.AF_UNSPEC, 0, queue) + body


def attributes(body: bytes) -> dict[int, bytes]:
    """Return the attributes in the body of a message, by kind."""
    found: dict[int, bytes] = {}
    while len(body) >= 4:
        length, kind = struct.unpack_from("=HH", body)
        found[kind & 0x3FFF] = body[4:length]
        body = body[length + 3 & ~3 :]
    return found


class Queue:
    """The packets that wait. Those of a direction keep their order."""

    def __init__(self, number: int, folder: Path) -> None:
        self._number = number
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._free: dict[int, float] = {}  # by the hook of the direction: when the line is free again
        self._last: dict[int, float] = {}  # by the hook: when the last packet is due
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.bind((0, 0))
        self.read_faults()

    def open(self) -> None:
        """Ask the kernel for the packets of the queue."""
        for body in (
            attribute(CMD, struct.pack(">BBH", BIND, 0, socket.AF_INET)),
            attribute(PARAMS, struct.pack(">IB", COPIED, COPY_PACKET)),
            attribute(FLAGS_MASK, struct.pack(">I", FAIL_OPEN)) + attribute(FLAGS, struct.pack(">I", FAIL_OPEN)),
        ):
            self._socket.send(message(CONFIGURE, self._number, body))
        self._loop.add_reader(self._socket, self._receive)
        self._folder.with_suffix(".ready").touch()

    def read_faults(self) -> None:
        """Read the faults. Delays and jitters add up; of rates the lowest counts."""
        faults = [tuple(map(float, file.read_text().split())) for file in self._folder.glob("*")]
        self._delay = sum(fault[0] for fault in faults)
        self._jitter = sum(fault[1] for fault in faults)
        self._rate = min((fault[2] for fault in faults if fault[2]), default=0.0)
        if not faults:  # packets that still wait do not delay those of the next fault
            self._free.clear()
            self._last.clear()

    def _receive(self) -> None:
        found = attributes(self._socket.recv(65536)[20:])
        if HEADER_ATTRIBUTE not in found:
            return  # the answer to a configuration message
        packet, _, hook = struct.unpack_from(">IHB", found[HEADER_ATTRIBUTE])
        (size,) = struct.unpack_from(">H", found[PAYLOAD_ATTRIBUTE], 2)
        self._loop.call_at(self._due(hook, size), self._accept, packet)

    def _due(self, hook: int, size: int) -> float:
        begins = max(self._loop.time(), self._free.get(hook, 0.0))
        self._free[hook] = begins + (size / self._rate if self._rate else 0.0)
        delay = max(0.0, self._delay + random.uniform(-self._jitter, self._jitter))  # noqa: S311 - no secret
        self._last[hook] = max(self._free[hook] + delay, self._last.get(hook, 0.0))
        return self._last[hook]

    def _accept(self, packet: int) -> None:
        verdict = attribute(VERDICT_ATTRIBUTE, struct.pack(">II", ACCEPT, packet))
        self._socket.send(message(VERDICT, self._number, verdict))


async def main(number: str, folder: str) -> None:
    """Run until killed."""
    queue = Queue(int(number), Path(folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, queue.read_faults)
    queue.open()
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
