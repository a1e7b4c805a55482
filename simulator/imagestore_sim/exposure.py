"""Which addresses other machines can reach, and the warning about what that opens to them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

NO_TLS = "what is sent can be read on the way, sessions and passwords too: there is no TLS"
DEFAULT_PASSWORD = "admin logs in with the documented default password; set another one in --bootstrap (accounts)"  # noqa: S105
LAB_API = "/lab/v1 lets everybody replace records and passwords, break hosts and move the clock; close it with"

PROBES = "/probe lets everybody have the hosts probed that the file of --probe-modules names"


def is_exposed(addresses: Iterable[Any]) -> bool:
    """Return whether a socket is bound to an address beyond loopback. An address is a tuple of host, port and more."""
    return any(not ipaddress.ip_address(str(host).partition("%")[0]).is_loopback for host, *_ in addresses)


def warning(where: str, openings: Sequence[str]) -> str:
    """Return the warning that other machines can reach `where`: a line for each of `openings` below it."""
    return "\n".join(
        [f"imagestore-sim: WARNING: {where} can be reached from other machines:", *(f"  - {one}" for one in openings)]
    )
