"""The URL of a MariaDB: mariadb://user:password@host:port/name."""

from __future__ import annotations

from sqlalchemy import URL

from imagestore_sim.database.errors import DatabaseError

EXAMPLE = "mariadb://user:password@host:port/name"
NAMES = frozenset({"mariadb", "mariadb+asyncmy"})
"""The schemes of URLs of a MariaDB."""
PARAMETERS = frozenset({"ssl_ca", "ssl_cert", "ssl_key", "unix_socket"})
"""The parameters that such a URL may have: files of certificates and keys, and the server's socket."""
LAST_PORT = 65535
_DRIVER = "mariadb+asyncmy"


def shown(url: URL) -> str:
    """Return a URL as people write it, without its password."""
    return url.set(drivername="mariadb").render_as_string()


def mariadb_url(url: URL) -> URL:
    """Return the SQLAlchemy URL of a MariaDB. Raise DatabaseError, without the password."""
    name = shown(url)
    if unknown := sorted(set(url.query) - PARAMETERS):
        known = ", ".join(sorted(PARAMETERS))
        raise DatabaseError(f"{name}: {unknown[0]}: there is no such parameter; expected {known}")
    if repeated := sorted(key for key, value in url.query.items() if not isinstance(value, str)):
        raise DatabaseError(f"{name}: {repeated[0]}: stands there twice")
    if not url.database or not (url.host or "unix_socket" in url.query):
        raise DatabaseError(f"{name}: the host or the name of the database is missing; expected {EXAMPLE}")
    if not 0 < (url.port or 1) <= LAST_PORT:
        raise DatabaseError(f"{name}: a port is a number from 1 to {LAST_PORT}")
    if not _is_host(url.host or ""):
        raise DatabaseError(f"{name}: the host is neither an address nor the name of a host")
    return url.set(drivername=_DRIVER)


def _is_host(name: str) -> bool:
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True
