"""Checks of user and host names, which can become part of a command or of a file name.

In a configuration of ssh `%r` and `%h` stand for them, so ssh refuses names that a shell could interpret (`valid_ruser`
and `valid_hostname` in OpenSSH's ssh.c). asyncssh does not refuse any, and splits a ProxyCommand into words after it
has inserted the names: so names that would not stay one plain word are refused here, too.
"""

from __future__ import annotations

import re

import asyncssh

from imagestore_sim.host_names import is_host_name, is_user_name
from imagestore_sim.probe.failures import Failed
from imagestore_sim.probe.target import Target
from imagestore_sim.reasons import Reason

_NO_PLAIN_WORD = re.compile(r"[\s'\"\\#]|\$\{")
"""Characters that shlex interprets, and `${`, which asyncssh expands to an environment variable."""
_NO_PLAIN_NAME_OF_A_FILE = re.compile(r"^\.{1,2}$|^~|/|\$\{")
_COMMANDS = ("ProxyCommand", "RemoteCommand")
_FILES = ("IdentityFile", "CertificateFile")


def check_names(target: Target) -> None:
    """Raise Failed for names that ssh refuses, and for a path with a NUL character."""
    if not is_host_name(target.hostname):
        raise Failed(Reason.DNS, f"the host name {target.hostname!r} has characters that ssh refuses")
    if not is_user_name(target.username):
        raise Failed(Reason.AUTH_FAILED, f"the user name {target.username!r} has characters that ssh refuses")
    if "\0" in target.url:
        raise Failed(Reason.NO_SUCH_PATH, f"no path holds a NUL, as {target.url!r} does")


def check_expansions(target: Target, options: asyncssh.SSHClientConnectionOptions) -> None:
    """Raise ValueError when the configuration inserts an unsafe name into a command or a file name."""
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
