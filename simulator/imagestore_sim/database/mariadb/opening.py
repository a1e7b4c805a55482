"""How a connection to a MariaDB is opened: within a bounded time, with the reason where that is not possible."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

from typing_extensions import override

from imagestore_sim.database.mariadb.reasons import OUT_OF_SYNC, code_of, is_mariadb, mariadb_reason
from imagestore_sim.database.wide_text import is_wide
from imagestore_sim.plain_reasons import system_text

logger = logging.getLogger(__name__)
CONNECT_SECONDS = 5
"""How long the server's system may take to accept a connection."""
OPEN_SECONDS = 10
"""How long a connection may take in all until it can be used: a server that is paused accepts it, and says nothing."""
_UNREACHABLE = frozenset({2002, 2003, 2005})
_UNKNOWN_VARIABLE = 1193
_ENDED = frozenset({0, 2006, 2013})
_NO_MORE = frozenset({1040, 1203, 1226})
"""As many connections as the server, or the account, may have."""
_NOT_ITS_PROTOCOL = (AttributeError, IndexError, NameError, ValueError, struct.error)
"""What asyncmy raises beside its own errors as it reads something else than a greeting of MariaDB's."""
_OTHER_SERVICE = "what answers there is no MariaDB"
_CLOSED = "the other end closes the connection before it can be used"


class NotConnected(ConnectionError):
    """A connection that could not be opened; the text says why, in one line."""

    def __init__(self, reason: str, *, has_too_many: bool = False) -> None:
        super().__init__(reason)
        self.strerror = reason
        self.has_too_many = has_too_many
        """Whether the server would have accepted it, were there not too many already."""


async def open_connection(arguments: Mapping[str, Any]) -> Any:
    """Return a connection of asyncmy's. Raise NotConnected for each failure, in one line."""
    connection = _class_of_connections()(connect_timeout=CONNECT_SECONDS, **arguments)
    try:
        async with asyncio.timeout(OPEN_SECONDS):  # real: the server is another process
            await connection.connect()
            return connection
    except TimeoutError:
        reason = f"the database server accepts the connection, and says nothing for {OPEN_SECONDS} s"
    except OSError as error:  # of a file of a certificate that has gone
        reason = system_text(error)
    except RuntimeError:  # asyncmy sets up the socket, and uvloop has none any more: a proxy without servers does that
        reason = _CLOSED
    except _NOT_ITS_PROTOCOL as error:
        logger.debug("the driver cannot read what answers", exc_info=error)
        reason = _OTHER_SERVICE
    except Exception as error:
        if not is_mariadb(error):
            raise
        raise NotConnected(_reason_of(error), has_too_many=code_of(error) in _NO_MORE) from None
    raise NotConnected(reason) from None


@cache
def _class_of_connections() -> type[Any]:
    """Return asyncmy's class of connections, which is imported when it is needed, with wide texts of our own."""
    from asyncmy.connection import Connection

    class WideTexts(Connection):
        """Says of a wide text how it is to be compared.

        Then no text of a column with three bytes a character equals it. Else MariaDB refuses to compare the two at all:
        "Illegal mix of collations" (1267).
        """

        @override
        def escape(self, obj: Any, mapping: Any = None) -> Any:
            escaped = super().escape(obj, mapping)  # type: ignore[no-untyped-call]
            return f"{escaped} COLLATE utf8mb4_bin" if isinstance(obj, str) and is_wide(obj) else escaped

    return WideTexts


def _reason_of(error: BaseException) -> str:
    """Return why the driver could not connect: in MariaDB's own words, where this project has none."""
    code = code_of(error)
    if code in _UNREACHABLE and isinstance(error.__cause__, OSError):
        return _reason_of_system(error.__cause__)
    if code == OUT_OF_SYNC:
        return _OTHER_SERVICE
    words = " ".join(str(error.args[-1]).split()) if error.args else type(error).__name__
    if code == _UNKNOWN_VARIABLE:
        return f"MariaDB 10.5 or newer with InnoDB is needed: {words} (error {code})"
    if code in _ENDED:
        return f"{_CLOSED} (error {code})"
    return mariadb_reason(error) or f"{words} (error {code})"


def _reason_of_system(error: OSError) -> str:
    if error.errno == errno.EBADF:  # asyncmy sets up the socket, and asyncio has closed it
        return _CLOSED
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the database server is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the database server speaks no TLS that can be used"
    why = f"no answer within {CONNECT_SECONDS} s" if isinstance(error, TimeoutError) else system_text(error)
    return f"the database server cannot be reached: {why}"
