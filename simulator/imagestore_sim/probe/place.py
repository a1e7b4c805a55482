"""Where to log in, as people write it: `[USER@]HOST[:PORT]`."""

from __future__ import annotations

import re
from typing import NamedTuple

from imagestore_sim.host_names import is_host_name, is_user_name
from imagestore_sim.probe.resolving import literal_address

FORM = "[user@]host[:port]; an IPv6 address is in brackets where a port follows it"
_PLACE = re.compile(
    r"(?:(?P<user>[^@]+)@)?"
    r"(?:(?:\[(?P<address>[^\[\]@:]*:[^\[\]@]*)\]|(?P<host>[^:@\[\]]+))(?::(?P<port>[0-9]{1,9}))?"
    r"|(?P<bare>[^@\[\]:]*:[^@\[\]:]*:[^@\[\]]*))"
)
"""[USER@]HOST[:PORT]; an IPv6 address in brackets, or bare without a port."""


class Place(NamedTuple):
    """A host, and the user and the port if the text names them."""

    user: str | None
    host: str
    port: int | None


def parse_place(text: str) -> Place:
    """Return what `[USER@]HOST[:PORT]` names. Raise ValueError."""
    match = _PLACE.fullmatch(text)
    host = "" if match is None else match["host"] or match["address"] or match["bare"]
    if match is None or (":" in host and literal_address(host) is None):
        raise ValueError(f"{text} is not {FORM}")
    user, port = match["user"], None if match["port"] is None else int(match["port"])
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"{text}: {port} is no port, it must be between 1 and 65535")
    if not is_host_name(host) or not is_user_name(user or ""):
        raise ValueError(f"{text}: ssh does not accept that name")
    return Place(user, host, port)
