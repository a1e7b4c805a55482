"""Rules for the hostname and url of a storage, in ZStack's order and with ZStack's texts (domain 3.1)."""

from __future__ import annotations

import re

from imagestore_sim.backup_storage.errors import InvalidRequest

HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
FORBIDDEN_FOLDERS = ("/dev", "/proc", "/sys")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


def check_hostname(hostname: str) -> None:
    """Raise InvalidRequest unless `hostname` is an IPv4 address or consists of RFC 1123 labels (no IPv6, no `_`)."""
    if not HOSTNAME.fullmatch(hostname) or len(hostname) > 255:
        raise InvalidRequest(f"hostname[{hostname}] is neither an IPv4 address nor a valid hostname")


def check_url(url: str, *, sftp: bool = False) -> None:
    """Raise InvalidRequest unless `url` is an absolute path outside /dev, /proc and /sys."""
    if sftp:
        _check_sftp_url(url)
        return
    if not url:
        raise InvalidRequest("file path needed")
    if not url.startswith("/"):
        raise InvalidRequest(f"absolute file path required: {url}")
    if url.startswith(FORBIDDEN_FOLDERS):
        raise InvalidRequest("the url contains an invalid folder[/dev or /proc or /sys]")
    if CONTROL_CHARACTERS.search(url):
        raise InvalidRequest(f"file path contains invalid character: {url!r}")


def _check_sftp_url(url: str) -> None:
    if url.startswith(FORBIDDEN_FOLDERS):
        raise InvalidRequest("the url contains an invalid folder[/dev or /proc or /sys]")
    if not url.startswith("/"):
        # ZStack formats this text with a catalogue that drops the quotes around the slash.
        raise InvalidRequest(f"invalid url[{url}], the url must be an absolute path starting with /")
