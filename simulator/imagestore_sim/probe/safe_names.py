"""Which user and host names a probe takes, and which may become words of a command or of a file's name.

ssh refuses names that a shell might take for more than a name (`valid_ruser` and `valid_hostname` of OpenSSH's ssh.c),
since `%r` and `%h` in its configuration stand for them. asyncssh does not, and splits a ProxyCommand into words after
it has put them in; so what would not be one plain word there is refused as well.
"""

from __future__ import annotations

import re

import asyncssh

from imagestore_sim.host_names import is_host_name, is_user_name
from imagestore_sim.probe.failures import Failed, Reason
from imagestore_sim.probe.target import Target

_NO_PLAIN_WORD = re.compile(r"[\s'\"\\#]|\$\{")
"""What shlex does not leave as it is, and what asyncssh takes for a variable of the environment."""
_NO_PLAIN_NAME_OF_A_FILE = re.compile(r"^\.{1,2}$|^~|/|\$\{")
_COMMANDS = ("ProxyCommand", "RemoteCommand")
_FILES = ("IdentityFile", "CertificateFile")


def check_names(target: Target) -> None:
    """Raises Failed for names that ssh refuses, and for a path that no host can have."""
    if not is_host_name(target.hostname):
        raise Failed(Reason.DNS, f"the host name {target.hostname!r} has characters that ssh refuses")
    if not is_user_name(target.username):
        raise Failed(Reason.AUTH_FAILED, f"the user name {target.username!r} has characters that ssh refuses")
    if "\0" in target.url:
        raise Failed(Reason.NO_SUCH_PATH, f"no path holds a NUL, as {target.url!r} does")


def check_expansions(target: Target, options: asyncssh.SSHClientConnectionOptions) -> None:
    """Raises ValueError where a name of the record has become more than a plain word, or part, of a file's line."""
    for name in (target.username, target.hostname):
        for keyword, unsafe in (*((one, _NO_PLAIN_WORD) for one in _COMMANDS),
                                *((one, _NO_PLAIN_NAME_OF_A_FILE) for one in _FILES)):  # fmt: skip
            if unsafe.search(name) and any(name in value for value in _values(options, keyword)):
                raise ValueError(f"{keyword} cannot be given the name {name!r}")


def _values(options: asyncssh.SSHClientConnectionOptions, keyword: str) -> list[str]:
    value = options.config.get(keyword)
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [] if value is None else [str(value)]
