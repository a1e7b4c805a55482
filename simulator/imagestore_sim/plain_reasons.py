"""Why a request to another server failed, in plain words for messages and logs."""

from __future__ import annotations

import os

import aiohttp


def plain_reason(error: BaseException) -> str:
    """Return why a request failed, as one line that continues `URL: `, such as `cannot be reached: ...`."""
    match error:
        # A host name, or a user, that cannot be encoded makes a UnicodeError.
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | UnicodeError():
            return "is not the URL of a server that speaks HTTP, such as http://127.0.0.1:8080"
        case aiohttp.ClientSSLError():
            return "speaks no TLS that can be trusted"
        case aiohttp.ClientConnectorError():
            return f"cannot be reached: {system_text(error.os_error)}"
        # A message of several lines is aiohttp's drawing of bytes that are not HTTP.
        case aiohttp.ClientResponseError() if "\n" not in error.message:
            return f"answers {error.status}: {error.message or 'no reason given'}"
        case TimeoutError():
            return "does not answer in time"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | aiohttp.ClientPayloadError():
            return "broke the connection off in the middle of an answer"
        case aiohttp.ClientError():
            return "does not answer as a server does that speaks HTTP"
        case OSError():
            return f"cannot be reached: {system_text(error)}"
    return " ".join(str(error).split()) or type(error).__name__


def system_text(error: OSError) -> str:
    """Return the system's text: asyncio puts the address in its place, and a failed look-up has no errno."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
