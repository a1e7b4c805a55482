"""Names of hosts and users: which a request may be addressed to, and which ssh accepts."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

HOST_AND_PORT = re.compile(r"(?P<host>\[[^\[\]@/?#\s]*\]|[^\[\]:@/?#\s\\]*)(?::[0-9]{0,5})?", re.ASCII)
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", re.ASCII)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
ZONE = re.compile(r"(?:25)?[A-Za-z0-9._~-]+", re.ASCII)
"""An IPv6 zone after its %, which a URL writes as %25 (RFC 6874)."""
LOCALHOST = "localhost"
# As in OpenSSH, `valid_ruser` and `valid_hostname` of ssh.c.
REFUSED_IN_USER = re.compile(r"^-|[\x00-\x1f\x7f'`\";&<>|(){}]|\s-|\\\Z")
REFUSED_IN_HOST = re.compile(r"^-|[\x00-\x1f\x7f'`\"$\\;&<>|(){}\s]")
LONGEST = 253
MOST_REMEMBERED = 64


def is_user_name(name: str) -> bool:
    """Return whether ssh accepts it as the name of a user."""
    return REFUSED_IN_USER.search(name) is None


def is_host_name(name: str) -> bool:
    """Return whether ssh accepts it as the name of a host."""
    return REFUSED_IN_HOST.search(name) is None


def host_and_port(host: str, port: int) -> str:
    """Return HOST:PORT, with an IPv6 address in brackets, as commands and URLs take it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_allowed(name: str) -> str:
    """Return NAME or *.NAME in lower case, without a final dot. Raise ValueError for anything else."""
    plain = name.lower().removesuffix(".")
    labels = plain.removeprefix("*.").split(".")
    if len(plain) > LONGEST or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"expected host names such as lab.example or *.lab.example, without a port, but got {name!r}")
    return plain


class AllowedHosts:
    """The hosts that a request may be addressed to: IP addresses, localhost, names of one label, and those given."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """Allow `names` beside the default ones. Raise ValueError for one that is neither NAME nor *.NAME."""
        checked = [check_allowed(name) for name in names]
        self.has = lru_cache(MOST_REMEMBERED)(self._has)
        """Return whether HOST or HOST:PORT is one of them. Port, case and a final dot do not matter."""
        self._names = frozenset(name for name in checked if not name.startswith("*."))
        self._suffixes = tuple(name[1:] for name in checked if name.startswith("*."))

    def _has(self, authority: str) -> bool:
        found = HOST_AND_PORT.fullmatch(authority.strip(" \t"))
        if found is None:
            return False
        host = found["host"].lower()
        if host.startswith("["):
            return is_ipv6(host[1:-1])
        host = host.removesuffix(".")
        labels = host.split(".")
        if NUMBER.fullmatch(labels[-1]):  # every client reads it as an IPv4 address, or refuses it
            return _is_ipv4(host)
        if not all(LABEL.fullmatch(label) for label in labels):
            return False
        alone = len(labels) == 1 or labels[-1] == LOCALHOST
        return alone or host in self._names or host.endswith(self._suffixes)


def is_ipv6(text: str) -> bool:
    """Return whether it is an IPv6 address without brackets; it may have a zone."""
    address, with_zone, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not with_zone or ZONE.fullmatch(zone) is not None


def is_this_machine(url: str) -> bool:
    """Return whether the server of a URL is on this machine, as its host says: localhost or a loopback address."""
    try:
        host = urlsplit(url).hostname or ""
        return host == LOCALHOST or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ipv4(text: str) -> bool:
    try:
        socket.inet_aton(text)  # takes every form that clients take: 127.1, 0x7f000001
    except OSError:
        return False
    return True
