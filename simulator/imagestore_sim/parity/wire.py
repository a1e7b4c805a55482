"""Send one HTTP/1.1 request on its own connection, byte by byte: a client library would normalise it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from imagestore_sim.host_names import host_and_port
from imagestore_sim.parity.corpus import Answer

BROKEN = -1
"""The status of a call whose connection broke before an answer came."""
MOST_BYTES = 64 * 2**20
HEAD_LIMIT = 2**20


class Unreachable(Exception):
    """The node cannot be connected to; the text says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Host, port and scheme of a node."""

    host: str
    port: int
    secure: bool

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Return the endpoint of `http://HOST[:PORT]` or `https://…`. Raise ValueError for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"expected a URL such as http://192.168.0.10:8080, but got {url!r}")
        secure = parts.scheme == "https"
        return cls(parts.hostname, parts.port or (443 if secure else 80), secure)

    @property
    def url(self) -> str:
        """`http://HOST:PORT`."""
        return f"http{'s' if self.secure else ''}://{self.authority}"

    @property
    def authority(self) -> str:
        """`HOST:PORT`, as in the Host header."""
        return host_and_port(self.host, self.port)


async def send(
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    within: float = 30.0,
) -> Answer:
    """Return the answer to one request, or BROKEN and the reason if the connection ends before. Raise Unreachable."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {endpoint.authority}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    request = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (body or b"")
    try:
        async with asyncio.timeout(within):  # real: the node may be another program
            return await _exchange(endpoint, method, request)
    except TimeoutError:
        return Answer(BROKEN, f"no answer within {within:g} s")


async def _exchange(endpoint: Endpoint, method: str, request: bytes) -> Answer:
    try:
        secure = _any_certificate() if endpoint.secure else None
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=secure, limit=HEAD_LIMIT)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name with a label that is empty or too long
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreachable(f"{endpoint.url} cannot be reached: {reason}") from None
    try:
        writer.write(request)
        return await _read(reader, method)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError) as error:
        return Answer(BROKEN, f"the connection broke: {type(error).__name__}")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, method: str) -> Answer:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        if status >= 200:  # skip 100 Continue
            break
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if method == "HEAD" or status in (204, 304):
        return Answer(status, "")
    return Answer(status, (await _body(reader, headers)).decode("utf-8", "replace"))


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(reader)
    if "content-length" in headers:
        return await reader.readexactly(_bounded(int(headers["content-length"])))
    return await reader.read(MOST_BYTES)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(_bounded(size))
        _bounded(len(body))
        await reader.readexactly(2)
    return body


def _bounded(size: int) -> int:
    if size > MOST_BYTES:
        raise ValueError(f"an answer of {size} bytes is more than is read")
    return size


def _any_certificate() -> ssl.SSLContext:
    """Return a context that accepts any certificate: management nodes sign their own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
