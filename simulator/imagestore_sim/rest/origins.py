"""The host that a request is addressed to, and whether a browser sent it for a page of another origin.

A page can make its browser send requests to any address, this node's too. It cannot read the answers, unless its own
host name resolves to this node's address (DNS rebinding).
"""

from __future__ import annotations

from contextvars import ContextVar
from urllib.parse import urlsplit

from aiohttp import web

from imagestore_sim.web_server import Request, authority

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""The content types that a form, or a script without a preflight, can give a body (Fetch, CORS-safelisted)."""
DEFAULT_PORTS = {"http": 80, "https": 443}
FOREIGN_SITES = ("cross-site", "same-site")


def authorities(request: web.BaseRequest) -> list[str]:
    """Return every host that a request names as its destination: its Host headers, and the host in its target."""
    target = _target_host(request)
    return [*request.headers.getall("Host", ()), *([] if target is None else [target])]


def _target_host(request: web.BaseRequest) -> str | None:
    return request.target_host if isinstance(request, Request) else None


def is_foreign(request: web.BaseRequest) -> bool:
    """Return whether a browser declares that a page of another origin sent the request. Other clients declare nothing.

    An origin is the same if its host and port are those that the request is addressed to; `null` is another origin.
    """
    headers = request.headers
    if headers.get("Sec-Fetch-Site", "").strip().lower() in FOREIGN_SITES:
        return True
    if "Origin" not in headers:
        return False
    host = headers.get("Host", "")
    return any(not _same(origin, host) for origin in headers.getall("Origin"))


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
    """Return whether a browser sends such a request for any page without a CORS preflight."""
    if request.method not in ("GET", "HEAD", "POST") or "Authorization" in request.headers:
        return False
    kinds = [kind.partition(";")[0].strip().lower() for kind in request.headers.getall("Content-Type", ())]
    return request.method != "POST" or all(kind in ("", *FORM_TYPES) for kind in kinds)


def is_visit(request: web.BaseRequest) -> bool:
    """Return whether a browser navigates here, as by a link: no page of another origin can read the answer."""
    return request.method == "GET" and request.headers.get("Sec-Fetch-Mode", "") == "navigate"


client_address: ContextVar[str] = ContextVar("client_address", default="127.0.0.1:8080")
"""The HOST:PORT that the client used of the request that is answered, or that began the job that runs."""


def address_of(request: web.BaseRequest) -> str:
    """Return the HOST:PORT that the client used: from its target or Host header, else the address it connected to."""
    given = _target_host(request) or request.headers.get("Host")
    if given is not None or request.transport is None:
        return given or ""
    host, port, *_ = request.transport.get_extra_info("sockname")
    return authority(host, port)
