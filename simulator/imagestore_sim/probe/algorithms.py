"""The algorithms that are offered to a server: OpenSSH's own, in its order, and how a line of ssh_config changes them.

The lists are short: there are servers that read no more than the first twenty names of one.
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
    "ssh-rsa",  # of servers from before 2015, which have nothing else
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What can be chosen of one sort of algorithms: by default, and at all."""

    keyword: str
    """The line of ssh_config that changes it."""
    default: tuple[str, ...]
    possible: tuple[str, ...]

    @classmethod
    def of(cls, keyword: str, default: Sequence[str], *possible: Sequence[bytes]) -> Choice:
        """What there is here of the algorithms in `default`, in that order."""
        known = [name.decode() for names in possible for name in names]
        known = [name for name in known if not name.startswith(("gss-", "x509v3-"))]
        return cls(keyword, tuple(name for name in default if name in known), tuple(known))

    def changed_by(self, line: str) -> list[str]:
        """The algorithms that a line of ssh_config makes of the default; names that are unknown here are passed over.

        `+` appends, `-` removes, `^` puts first; `*` and `?` stand for what they do in patterns. Raises ValueError when
        nothing is left.
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
        """The names in a line that stand for no algorithm here."""
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
        "diffie-hellman-group14-sha1",  # of servers from before 2016
    ),
    get_kex_algs(),
)
CIPHERS = Choice.of(
    "Ciphers",
    (
        "aes128-gcm@openssh.com",  # a third less work for Python than OpenSSH's first choice
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
"""The host certificates among the defaults."""


def host_key_algorithms(known: Sequence[str], *, authorities: bool) -> list[str]:
    """The kinds of host keys to ask for where keys are looked at: those that are known first, as OpenSSH does.

    Certificates are asked for where an authority is trusted for the host: without one they are worth no more than the
    key in them, and hide it. A host that has none of the known kinds any more shows another one.
    """
    wanted = [*(CERTIFICATES if authorities else ()), *(name for name in known if name in HOST_KEYS.possible)]
    plain = (name for name in HOST_KEYS.default if name not in CERTIFICATES)
    return list(dict.fromkeys([*wanted, *plain]))
