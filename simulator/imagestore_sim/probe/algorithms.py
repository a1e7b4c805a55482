"""The algorithms offered to a server: OpenSSH's, in its order, and how ssh_config changes them.

The lists are short, because some servers read only the first twenty names of a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate

from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_public_key_algs

_CERTIFICATES = (
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)
_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",  # the only one of servers from before 2015
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The algorithms of one kind: those offered by default, and all that are available."""

    keyword: str
    """The keyword of ssh_config that changes the default."""
    default: tuple[str, ...]
    possible: tuple[str, ...]

    @classmethod
    def of(cls, keyword: str, default: Sequence[str], *possible: Sequence[bytes]) -> Choice:
        """Return a choice whose default is those in `default` that are in `possible`, all available ones."""
        known = [name.decode() for names in possible for name in names]
        known = [name for name in known if not name.startswith(("gss-", "x509v3-"))]
        return cls(keyword, tuple(name for name in default if name in known), tuple(known))

    def changed_by(self, line: str) -> list[str]:
        """Apply a value from ssh_config to the default, and return the algorithms; unknown names are ignored.

        `+` appends, `-` removes, `^` puts first, anything else replaces; `*` and `?` are wildcards. Raise ValueError
        when nothing is left.
        """
        sign, names = (line[0], line[1:]) if line[:1] in ("+", "-", "^") else ("", line)
        named = [name for pattern in names.split(",") for name in self._matching(pattern.strip())]
        match sign:
            case "+":
                chosen = [*self.default, *named]
            case "-":
                chosen = [name for name in self.default if name not in named]
            case "^":
                chosen = [*named, *self.default]
            case _:
                chosen = named
        if not chosen:
            raise ValueError(f"{self.keyword} {line}: none of these algorithms is known here")
        return list(dict.fromkeys(chosen))

    def unknown_in(self, line: str) -> list[str]:
        """Return the names in a value from ssh_config that match no available algorithm."""
        names = [name.strip() for name in line.lstrip("+-^").split(",")]
        return [name for name in names if name and not self._matching(name)]

    def _matching(self, pattern: str) -> list[str]:
        if not re.search(r"[*?]", pattern):
            return [pattern] if pattern in self.possible else []
        expression = re.compile(translate(pattern.replace("[", "[[]")))
        return [name for name in self.possible if expression.match(name)]


KEY_EXCHANGES = Choice.of(
    "KexAlgorithms",
    (
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
        "diffie-hellman-group14-sha1",  # for servers from before 2016
    ),
    get_kex_algs(),
)
CIPHERS = Choice.of(
    "Ciphers",
    (
        "aes128-gcm@openssh.com",  # costs Python a third less time than OpenSSH's first choice
        "chacha20-poly1305@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
        "aes256-gcm@openssh.com",
    ),
    get_encryption_algs(),
)
MACS = Choice.of(
    "MACs",
    (
        "umac-64-etm@openssh.com",
        "umac-128-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha1-etm@openssh.com",
        "umac-64@openssh.com",
        "umac-128@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
        "hmac-sha1",
    ),
    get_mac_algs(),
)
_ALL_KEYS = (get_certificate_algs(), get_public_key_algs())
HOST_KEYS = Choice.of("HostKeyAlgorithms", (*_CERTIFICATES, *_KEYS), *_ALL_KEYS)
SIGNATURES = Choice.of("PubkeyAcceptedAlgorithms", (*_CERTIFICATES, *_KEYS), *_ALL_KEYS)

CERTIFICATES = tuple(name for name in HOST_KEYS.default if name in _CERTIFICATES)
"""The default algorithms that are host certificates."""


def host_key_algorithms(known: Sequence[str], *, authorities: bool) -> list[str]:
    """Return the host key algorithms to ask for when host keys are checked: those of `known` keys first, as OpenSSH.

    Certificates are included only if an authority is trusted for the host: without one a certificate proves no more
    than its key, and hides it. All other algorithms follow, so that a host without the known keys shows another one.
    """
    preferred = [*(CERTIFICATES if authorities else ()), *(name for name in known if name in HOST_KEYS.possible)]
    plain = (name for name in HOST_KEYS.default if name not in CERTIFICATES)
    return list(dict.fromkeys([*preferred, *plain]))
