"""Hosts and ports in URLs."""

from __future__ import annotations

import ipaddress


def authority(host: str, port: int) -> str:
    """Return `host:port` for a URL: an IPv6 address in brackets, the `%` before its zone escaped (RFC 6874)."""
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        is_v6 = False
    return f"[{host.replace('%', '%25')}]:{port}" if is_v6 else f"{host}:{port}"


def http_url(host: str, port: int) -> str:
    """Return the URL of a server on a host, which may be an IPv6 address."""
    return f"http://{authority(host, port)}"
