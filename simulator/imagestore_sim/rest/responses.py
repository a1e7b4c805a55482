"""HTTP responses as ZStack and its servlet container give them (wire-protocol 1.6, 1.7)."""

from __future__ import annotations

import orjson
from aiohttp import web

from imagestore_sim.rest.encoding import to_plain_json
from imagestore_sim.rest.errors import ApiError, ContainerError
from imagestore_sim.web_server import WholeResponse, error_page

JSON = "application/json; charset=utf-8"
CLOSING_STATUSES = (400, 413, 500, 503)
"""The statuses after which Tomcat closes the connection."""


def json_response(status: int, body: bytes) -> web.Response:
    """Return a response with a JSON body."""
    return closing(WholeResponse(status, body, JSON))


def error_response(failure: ApiError) -> web.Response:
    """Return 503 with `{"error": {…}}`, as a synchronous call that fails is answered."""
    return json_response(503, to_plain_json({"error": failure.error.to_json()}))


def error_code(response: web.Response) -> str | None:
    """Return the code of the error in a response, such as `SYS.1006`; None if it is not one of ZStack's errors."""
    body = response.body
    if not isinstance(body, bytes) or not body.startswith(b'{"error":{'):
        return None
    try:
        code = orjson.loads(body)["error"].get("code")
    except orjson.JSONDecodeError:  # a fault has spoilt it
        return None
    return code if isinstance(code, str) else None


def text_response(status: int, text: str | None) -> web.Response:
    """Return a response with a plain text."""
    return closing(web.Response(status=status, text=text))


def container_response(error: ContainerError) -> web.Response:
    """Return the servlet container's page for an error; no page for a status below 400, as for OPTIONS."""
    headers = {"Allow": error.allow} if error.allow else {}
    if error.status < 400:
        return web.Response(status=error.status, headers=headers)
    return closing(error_page(error.status, error.text, allow=error.allow))


def closing(response: web.Response) -> web.Response:
    """Have the connection closed after a response whose status makes Tomcat close it; return the response."""
    if response.status in CLOSING_STATUSES:
        response.force_close()
    return response
