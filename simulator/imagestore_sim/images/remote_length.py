"""Ask web servers how long the file of an image is, as ZStack does for the quota of an account (observed 11)."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, nullcontext

import aiohttp
from yarl import URL

from imagestore_sim.backup_storage.errors import BackupStorageError
from imagestore_sim.clock import Clock
from imagestore_sim.host_names import is_this_machine
from imagestore_sim.plain_reasons import plain_reason, system_text
from imagestore_sim.web_client import heads_connector, http_url

WEB = ("http://", "https://")
CONNECT_SECONDS, ANSWER_SECONDS = 15.0, 300.0
"""ZStack's timeouts of a request to another server (RESTFacade)."""
LARGEST = 2**63 - 1
APACHE = "org.apache.http.conn"


class LengthUnknown(BackupStorageError):
    """A web server did not tell the length of a file; the text is that of ZStack's HTTP client."""


class RemoteLengths:
    """Asks web servers for the length of files."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def of(self, url: str) -> int:
        """Return the length that a HEAD request is told, in bytes; 0 if it is told none. Raise LengthUnknown."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        connector = heads_connector(ssl=False, limit=1)  # like ZStack, do not verify certificates
        try:
            with self._reaching(url):
                async with (
                    aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
                    http.head(http_url(url), allow_redirects=True) as response,
                ):
                    if response.status >= 400:
                        raise LengthUnknown(f"{response.status} {response.reason}: [no body]")
                    return _bounded(response.content_length or 0)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise LengthUnknown(f'I/O error on HEAD request for "{url}": {_words(url, error)}') from error

    def _reaching(self, url: str) -> AbstractContextManager[None]:
        """Return a context in which no time is skipped, if the server is on another machine."""
        return nullcontext() if is_this_machine(url) else self._clock.outside()


def _bounded(length: int) -> int:
    """Return a length that Java's long holds. Raise LengthUnknown for a larger one."""
    if length > LARGEST:
        raise LengthUnknown(f'For input string: "{length}"')
    return length


def _host(url: URL) -> str:
    """Return the host of a URL: as it is written, where it only looks like an encoded name of other letters (xn--)."""
    try:
        return url.host or ""
    except UnicodeError:
        return url.raw_host or ""


def _words(url: str, error: Exception) -> str:
    """Return what Apache's HTTP client says: of a refused connection, a name without address, a connect timeout."""
    if isinstance(error, aiohttp.InvalidURL):
        return plain_reason(error)
    parts = URL(url)
    host, port = _host(parts), parts.port
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, socket.gaierror):
        text, java = f"{host}: Name or service not known", "java.net.UnknownHostException"
    elif isinstance(error, aiohttp.ClientConnectorError):
        why = system_text(error.os_error)
        text, java = f"Connect to {host}:{port} [/{host}] failed: {why}", f"{APACHE}.HttpHostConnectException"
    elif isinstance(error, aiohttp.ConnectionTimeoutError):
        text = f"Connect to {host}:{port} [/{host}] failed: connect timed out"
        java = f"{APACHE}.ConnectTimeoutException"
    else:
        return plain_reason(error)
    return f"{text}; nested exception is {java}: {text}"
