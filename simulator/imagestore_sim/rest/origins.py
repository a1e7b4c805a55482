"""Which host a request is addressed to, and whether the page of another origin had a browser send it.

A page may have its browser send requests to any address, this node's too. What it sends without asking first, it sends
blindly; a name of its own that resolves to this node's address (DNS rebinding) would let it read the answers as well.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from imagestore_sim.web_server import Request, authority

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""The content types that a form, or a script that does not ask first, can give a body (Fetch, CORS-safelisted)."""
DEFAULT_PORTS = {"http": 80, "https": 443}
FOREIGN_SITES = ("cross-site", "same-site")


def authorities(request: web.BaseRequest) -> list[str]:
    """All that a request says of the host that it is addressed to: its Host headers, and its target's if it has one."""
    target = _target_host(request)
    return [*request.headers.getall("Host", ()), *([] if target is None else [target])]


def _target_host(request: web.BaseRequest) -> str | None:
    return request.target_host if isinstance(request, Request) else None


def is_foreign(request: web.BaseRequest) -> bool:
    """Whether a browser says that the page of another origin sent the request; other clients say nothing of that.

    An origin is the same if its host and port are those that the request is addressed to; `null` is none.
    """
    if request.headers.get("Sec-Fetch-Site", "").strip().lower() in FOREIGN_SITES:
        return True
    host = request.headers.get("Host", "")
    return any(not _same(origin, host) for origin in request.headers.getall("Origin", ()))


def _same(origin: str, host: str) -> bool:
    try:
        page = urlsplit(origin.strip())
        default = DEFAULT_PORTS.get(page.scheme)
        here = urlsplit(f"//{host.strip()}")
        return (
            default is not None
            and page.hostname is not None
            and (page.hostname, page.port or default) == (here.hostname, here.port or default)
        )
    except ValueError:
        return False


def is_unasked(request: web.BaseRequest) -> bool:
    """Whether a browser sends such a request for any page without asking this node first (a CORS preflight)."""
    if request.method not in ("GET", "HEAD", "POST") or "Authorization" in request.headers:
        return False
    kinds = [kind.partition(";")[0].strip().lower() for kind in request.headers.getall("Content-Type", ())]
    return request.method != "POST" or all(kind in ("", *FORM_TYPES) for kind in kinds)


def is_visit(request: web.BaseRequest) -> bool:
    """Whether somebody follows a link here: what is shown then, no page of another origin can read."""
    return request.method == "GET" and request.headers.get("Sec-Fetch-Mode", "") == "navigate"


def address_of(request: web.BaseRequest) -> str:
    """HOST:PORT by which a client reaches this node: as it said, or where it connected to, if it said nothing."""
    given = _target_host(request) or request.headers.get("Host")
    if given is not None or request.transport is None:
        return given or ""
    host, port, *_ = request.transport.get_extra_info("sockname")
    return authority(host, port)
