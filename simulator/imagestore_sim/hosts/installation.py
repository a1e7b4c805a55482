"""What the installation of an ImageStore leaves on a host (domain 7.3): programs, certificates, service and log."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

PROGRAMS = "/usr/local/zstack/imagestore/bin"
PACKAGE = "/var/lib/zstack/imagestorebackupstorage/package"
LOG = "/var/log/zstack/zstack-store/zstore.log"
SERVICE = "zstack-imagestorebackupstorage"
SERVICE_SCRIPT = f"/etc/init.d/{SERVICE}"
CERTIFICATE, KEY = f"{PACKAGE}/certs/ca.pem", f"{PACKAGE}/certs/privkey.pem"
CONFIGURATION = f"{PROGRAMS}/zstore.yaml"
COMMAND_LINE = f"{PROGRAMS}/zstore -conf {CONFIGURATION} -logfile {LOG}"
"""Of the agent."""

MOST_AUTHORITIES = 4
"""Authorities whose files are kept: all hosts of one share their bytes."""
_NOT_HERE = "#!/bin/sh\necho 'a simulated host has no {name}' >&2; exit 1\n"
_SCRIPT = f"""\
#!/bin/sh
# chkconfig: 2345 97 03
# The agent of an ImageStore: {SERVICE_SCRIPT} start|stop|restart|status
service {SERVICE} "$1"
"""
_CONFIGURATION = """\
# Of a simulated host: which settings ImageStore's own file has is not public.
port: {port}
authority: {authority}
key: {key}
log: {log}
"""


class InstalledFile(NamedTuple):
    """A file of the installation."""

    path: str
    content: bytes
    mode: int


@lru_cache(MOST_AUTHORITIES)
def installed_files(port: int, authority: bytes, key: bytes) -> tuple[InstalledFile, ...]:
    """Return the files of an agent, from its port, the certificate of its authority, and its private key."""
    return tuple(_installed_files(port, authority, key))


def _installed_files(port: int, authority: bytes, key: bytes) -> Iterator[InstalledFile]:
    for name in ("zstore", "zstcli", SERVICE):
        yield InstalledFile(f"{PROGRAMS}/{name}", _NOT_HERE.format(name=name).encode(), 0o755)
    settings = _CONFIGURATION.format(port=port, authority=CERTIFICATE, key=KEY, log=LOG)
    yield InstalledFile(CONFIGURATION, settings.encode(), 0o644)
    yield InstalledFile(f"{PACKAGE}/zstack-store.bin", _NOT_HERE.format(name="zstack-store.bin").encode(), 0o755)
    yield InstalledFile(SERVICE_SCRIPT, _SCRIPT.encode(), 0o755)
    yield InstalledFile(CERTIFICATE, authority, 0o644)
    yield InstalledFile(KEY, key, 0o400)
