"""What an address opens to other machines, said before it is too late."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

NO_TLS = "what is sent can be read on the way, sessions and passwords too: there is no TLS"
DEFAULT_PASSWORD = "admin logs in with the password that everybody knows; give another one in --bootstrap (accounts)"  # noqa: S105
LAB_API = "/lab/v1 lets everybody replace records and passwords, break hosts and move the clock; close it with"


def is_exposed(addresses: Iterable[Any]) -> bool:
    """Whether one of the addresses that sockets are bound to, HOST and PORT at least, is beyond loopback."""
    return any(not ipaddress.ip_address(str(host).partition("%")[0]).is_loopback for host, *_ in addresses)


def warning(where: str, openings: Sequence[str]) -> str:
    """The lines that say what is open to other machines."""
    return "\n".join(
        [f"imagestore-sim: WARNING: {where} can be reached from other machines:", *(f"  - {one}" for one in openings)]
    )
