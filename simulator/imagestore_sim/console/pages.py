"""Answers `/`, `/docs` and `/console/…`. The files hold no secret: what they show, they ask the APIs for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from imagestore_sim.console.static_files import StaticFile, read_files
from imagestore_sim.web_server import problem

CONSOLE = "index.html"
EXPLORER = "docs.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types"
)
"""The Content-Security-Policy: nothing from elsewhere, nothing inline, and no text that becomes markup."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # a browser keeps them, and asks by their ETag whether they are still the same
    "Vary": "Accept-Encoding",
}


@dataclass(slots=True)
class _Files:
    """The files of the process: read in a thread when they are first asked for, then kept."""

    kept: Mapping[str, StaticFile] = field(default_factory=dict)

    async def get(self, path: str) -> StaticFile | None:
        """Return a file by its path below `static`, None if there is none."""
        if not self.kept:
            self.kept = await asyncio.to_thread(read_files)
        return self.kept.get(path)


_files = _Files()


def pages() -> list[web.RouteDef]:
    """Return the routes of the pages, for aiohttp's router."""
    return [
        web.get("/", _always(CONSOLE)),
        web.get("/docs", _always(EXPLORER)),
        web.get("/console/{path:.+}", _asked_for),
    ]


def _always(path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return await _answer(request, path)

    return answer


async def _asked_for(request: web.Request) -> web.Response:
    return await _answer(request, request.match_info["path"])


async def _answer(request: web.Request, path: str) -> web.Response:
    file = await _files.get(path)
    if file is None:
        return problem(404, f"the pages have no file {path[:100]!r}")
    headers = {**HEADERS, "ETag": file.tag}
    if file.tag in _tags(request):
        return web.Response(status=304, headers=headers)
    if _takes_gzip(request):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=file.compressed, headers=headers, content_type=file.media, charset="utf-8")
    return web.Response(body=file.plain, headers=headers, content_type=file.media, charset="utf-8")


def _tags(request: web.Request) -> list[str]:
    """Return the tags of the content that the client has already (RFC 9110, 13.1.2), compared as weak ones."""
    return [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]


def _takes_gzip(request: web.Request) -> bool:
    """Return whether the client takes gzip (RFC 9110, 12.5.3); `q=0` refuses it."""
    for one in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, quality = one.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
