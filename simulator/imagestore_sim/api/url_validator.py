"""Check the URL of a web hook as Apache's UrlValidator does, which ZStack uses."""

from __future__ import annotations

import ipaddress
import re

PARTS = re.compile(
    r"(?:(?P<scheme>[^:/?#]+):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?"
)
AUTHORITY = re.compile(
    r"(?:[A-Za-z0-9%\-._~!$&'()*+,;=]+(?::[A-Za-z0-9%\-._~!$&'()*+,;=]*)?@)?"
    r"(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9\-.]*))(?::(?P<port>[0-9]*))?"
)
PATH = re.compile(r"(/[-\w:@&?=+,.!/~*'%$;()]*)?")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
TOP_LABEL = re.compile(r"[A-Za-z]{2,63}|xn--[A-Za-z0-9-]{1,59}")
SCHEMES = ("http", "https", "ftp")
LOCAL_TOP_LABELS = ("localhost", "local", "localdomain", "internal", "lan", "test", "example", "invalid")
"""Names that end in these belong to no public domain."""
HIGHEST_PORT = 65535


def is_url(text: str, *, any_host: bool) -> bool:
    """Return whether ZStack accepts a URL; with `any_host`, names of no public domain are accepted as well."""
    found = PARTS.fullmatch(text)
    if found is None or (found["scheme"] or "").lower() not in SCHEMES or not text.isascii():
        return False
    authority = AUTHORITY.fullmatch(found["authority"] or "")
    if authority is None or not _is_port(authority["port"]):
        return False
    if not (_is_six(authority["six"]) if authority["six"] else _is_host(authority["host"], any_host)):
        return False
    return bool(PATH.fullmatch(found["path"])) and not _climbs_out(found["path"]) and not _has_blank(found["query"])


def _is_port(port: str | None) -> bool:
    return not port or (len(port) <= len(str(HIGHEST_PORT)) and int(port) <= HIGHEST_PORT)


def _is_six(text: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _is_host(host: str, any_host: bool) -> bool:
    try:
        return bool(ipaddress.IPv4Address(host)) or host == "0.0.0.0"  # noqa: S104 - a text, nothing is opened
    except ValueError:
        pass
    labels = host.removesuffix(".").split(".")
    if not all(LABEL.fullmatch(label) for label in labels):
        return False
    top = labels[-1].lower()
    return any_host or (len(labels) > 1 and bool(TOP_LABEL.fullmatch(top)) and top not in LOCAL_TOP_LABELS)


def _climbs_out(path: str) -> bool:
    """Return whether a path leaves its root by `..`, or has an empty segment."""
    depth = 0
    for step in path.split("/")[1:]:
        depth += -1 if step == ".." else step not in ("", ".")
        if depth < 0:
            return True
    return "//" in path


def _has_blank(query: str | None) -> bool:
    return bool(query) and re.search(r"\s", query or "") is not None
