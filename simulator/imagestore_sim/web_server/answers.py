"""Answers with an error, and pages that only some methods may ask for."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import orjson
from aiohttp import web

PAGE = (
    '<!doctype html><html lang="en"><head><title>{title}</title></head>'
    "<body><h1>{title}</h1><p><b>Message</b> {text}</p></body></html>"
)


def error_page(status: int, text: str, *, allow: str = "") -> web.Response:
    """Return an error page like that of a servlet container."""
    title = f"HTTP Status {status} - {HTTPStatus(status).phrase}"
    page = PAGE.format(title=title, text=html.escape(text))
    headers = {"Allow": allow} if allow else {}
    return web.Response(status=status, text=page, content_type="text/html", charset="utf-8", headers=headers)


def problem(status: int, text: str) -> web.Response:
    """Return an error as JSON, as the lab's API answers it."""
    return json_line(status, {"error": text}, charset="utf-8")


def json_line(status: int, content: object, *, charset: str | None = None) -> web.Response:
    """Return JSON that ends in a newline, for those who read it in a terminal."""
    body = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(status=status, body=body, content_type="application/json", charset=charset)


def allowing(*methods: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that refuses all methods of a page but these, which others answer."""

    async def refuse(request: web.Request) -> web.Response:
        return not_allowed(request, methods)

    return refuse


def not_allowed(request: web.Request, methods: Sequence[str]) -> web.Response:
    """Return the refusal of a method; `methods` are those that the path has."""
    verb = "is" if len(methods) == 1 else "are"
    response = problem(405, f"{request.method} is not allowed for {request.path}; {', '.join(methods)} {verb}")
    response.headers["Allow"] = ", ".join(methods)
    return response
