"""The files of certificates and keys in the URL of a MariaDB."""

from __future__ import annotations

import ssl
from typing import NoReturn

from sqlalchemy import URL

from imagestore_sim.database.errors import DatabaseError
from imagestore_sim.database.mariadb.address import shown
from imagestore_sim.plain_reasons import system_text

_CA, _CERTIFICATE, _KEY = "ssl_ca", "ssl_cert", "ssl_key"


def check_tls(url: URL) -> None:
    """Raise DatabaseError unless the files can be used: the driver's own errors do not say which of them cannot."""
    files = {name: str(url.query[name]) for name in (_CA, _CERTIFICATE, _KEY) if name in url.query}
    for name, file in files.items():
        try:
            with open(file, "rb"):
                pass
        except OSError as error:
            raise DatabaseError(f"{shown(url)}: {name}: {file}: {system_text(error)}") from None
    if _KEY in files and _CERTIFICATE not in files:
        raise DatabaseError(f"{shown(url)}: {_KEY}: needs {_CERTIFICATE}, the certificate of this key")
    context = ssl.create_default_context()
    if _CA in files:
        _check_ca(context, shown(url), files[_CA])
    if _CERTIFICATE in files:
        _check_pair(context, shown(url), files[_CERTIFICATE], files.get(_KEY))


def _check_ca(context: ssl.SSLContext, name: str, file: str) -> None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError:
        raise DatabaseError(f"{name}: {_CA}: {file}: holds no certificate in PEM form") from None


def _check_pair(context: ssl.SSLContext, name: str, certificate: str, key: str | None) -> None:
    def refuse() -> NoReturn:
        raise DatabaseError(f"{name}: {_KEY}: {key or certificate}: the key has a passphrase, give one without")

    try:
        context.load_cert_chain(certificate, key, password=refuse)  # else OpenSSL would ask for it at the terminal
    except ssl.SSLError:
        files = f"{certificate} and {key}" if key else certificate
        raise DatabaseError(f"{name}: {_CERTIFICATE}: {files}: hold no certificate with its key in PEM form") from None
