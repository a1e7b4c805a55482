"""OpenSSH configuration files (`--ssh-config`): HostName, Port, IdentityFile, ProxyJump, algorithms and others."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncssh
from asyncssh.config import SSHClientConfig, SSHConfig

from imagestore_sim import whole_files
from imagestore_sim.probe.algorithms import CIPHERS, HOST_KEYS, KEY_EXCHANGES, MACS, SIGNATURES, Choice
from imagestore_sim.probe.identity import read_identity
from imagestore_sim.probe.resolving import literal_address
from imagestore_sim.probe.safe_names import check_expansions
from imagestore_sim.probe.target import Target

logger = logging.getLogger(__name__)
DEFAULT_PORT = 22
MOST_ROUTES = 20_000
"""Routes that are kept; then they are read again."""
_DEEPEST = 16  # levels of Include, as in OpenSSH

# asyncssh ignores lines that it does not know. OpenSSH has two names for this one.
for _alias in ("PubkeyAcceptedAlgorithms", "PubkeyAcceptedKeyTypes"):
    SSHClientConfig._handlers.setdefault(_alias.lower(), ("PubkeyAcceptedAlgorithms", SSHConfig._set_string))

_ALGORITHMS: dict[str, Choice] = {
    "kex_algs": KEY_EXCHANGES,
    "encryption_algs": CIPHERS,
    "mac_algs": MACS,
    "server_host_key_algs": HOST_KEYS,
    "signature_algs": SIGNATURES,
}

HONOURED = frozenset(
    name.lower()
    for name in (
        *("Host", "Match", "Include", "Tag"),
        *("HostName", "Port", "HostKeyAlias", "BindAddress", "TCPKeepAlive", "RekeyLimit"),
        *("CanonicalDomains", "CanonicalizeFallbackLocal", "CanonicalizeHostname", "CanonicalizeMaxDots"),
        *("CanonicalizePermittedCNAMEs", "ProxyJump", "ProxyCommand"),
        *("IdentityFile", "IdentitiesOnly", "PreferredAuthentications"),
        *("PasswordAuthentication", "PubkeyAuthentication", "KbdInteractiveAuthentication"),
        "ChallengeResponseAuthentication",
        *(choice.keyword for choice in _ALGORITHMS.values()),
        "PubkeyAcceptedKeyTypes",
    )
)
"""The keywords that are honoured, in lower case."""
_IRRELEVANT = frozenset(
    name.lower()
    for name in (
        *("AddKeysToAgent", "BatchMode", "CheckHostIP", "ClearAllForwardings", "ControlMaster", "ControlPath"),
        *("ControlPersist", "DynamicForward", "EnableEscapeCommandline", "EscapeChar", "ExitOnForwardFailure"),
        *("FingerprintHash", "ForwardAgent", "ForwardX11", "ForwardX11Timeout", "ForwardX11Trusted", "GatewayPorts"),
        *("HashKnownHosts", "IgnoreUnknown", "LocalCommand", "LocalForward", "LogLevel", "LogVerbose"),
        *("NoHostAuthenticationForLocalhost", "NumberOfPasswordPrompts", "PermitLocalCommand", "RemoteCommand"),
        *("RemoteForward", "RequestTTY", "SendEnv", "SetEnv", "SyslogFacility", "UpdateHostKeys", "VisualHostKey"),
        *("XAuthLocation", "ObscureKeystrokeTiming", "StdinNull", "ForkAfterAuthentication", "SessionType"),
    )
)
"""Keywords that do not affect a login or a probe, in lower case."""


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach a host and log in to it."""

    options: asyncssh.SSHClientConnectionOptions
    host: str
    port: int
    has_keys: bool
    hops: tuple[str, ...] = ()
    """The jump hosts on the way to it, each as `[USER@]HOST[:PORT]` (ProxyJump)."""
    command: tuple[str, ...] = ()
    """The words of a command to connect over (ProxyCommand)."""
    preferred: tuple[str, ...] = ()
    """The authentication methods in order (PreferredAuthentications); empty for the default."""
    local: str | None = None
    """The local address to connect from (BindAddress)."""

    @property
    def direct(self) -> bool:
        """Whether it is a TCP connection from this machine."""
        return not self.hops and not self.command

    async def connect_hop(self, hop: str, before: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        """Log in to a jump host, through the one before it, with the keys that the file names for it."""
        user, host, port = _split_hop(hop)
        given: dict[str, object] = {"tunnel": before} if before else {}
        given |= {"username": user} if user else {}
        given |= {"port": int(port)} if port else {}
        return await asyncssh.connect(host, config=self.options.kwargs["config"], agent_path=None, **given)


class SshConfig:
    """The routes to hosts that a file gives; each is read once.

    The user name of a record, and a port other than 22, take precedence over the file; port 22 does not, since it may
    be the default. What the file says about known hosts is ignored, and the user's own keys are not searched.
    """

    def __init__(self, file: Path, identity: asyncssh.SSHKey | None, base: dict[str, object]) -> None:
        """Read the file. Raise ValueError if it cannot be used."""
        self._file = file
        self._identity = identity
        self._base = base
        self._known: dict[Target, Route] = {}
        self._reported: set[tuple[str, str]] = set()
        try:
            self._report_ignored_lines(whole_files.read_text(file, errors="replace"))
            self.route_to(Target("host.invalid", DEFAULT_PORT, "root", "/"))
        except OSError as error:
            raise ValueError(f"SSH configuration {file}: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"SSH configuration {file}: {error}") from error

    def route_to(self, target: Target) -> Route:
        """Return the route to a host. It reads files, so call it in a thread. Raise ValueError, OSError."""
        if target not in self._known:
            if len(self._known) >= MOST_ROUTES:
                self._known.clear()
            self._known[target] = self._read(target)
        return self._known[target]

    def _read(self, target: Target) -> Route:
        host = literal_address(target.hostname) or target.hostname
        given = {**self._base, "config": [str(self._file)], "host": host, "username": target.username}
        if target.port != DEFAULT_PORT:
            given["port"] = target.port
        found = asyncssh.SSHClientConnectionOptions(**given, client_keys=None)
        check_expansions(target, found)
        keys = [] if self._identity is None else [self._identity]
        keys += self._keys(cast("list[str]", found.config.get("IdentityFile", [])))
        given |= self._algorithms(found)
        options = asyncssh.SSHClientConnectionOptions(**given, client_keys=keys or None)
        hops = tuple(options.tunnel.split(",")) if isinstance(options.tunnel, str) and options.tunnel else ()
        command = tuple(options.proxy_command or ())
        preferred = str(found.config.get("PreferredAuthentications") or "")
        return Route(
            options,
            options.host,
            options.port,
            bool(keys),
            hops,
            () if hops else command,
            tuple(name.strip() for name in preferred.split(",") if name.strip()),
            cast("str | None", found.config.get("BindAddress")),
        )

    def _algorithms(self, found: asyncssh.SSHClientConnectionOptions) -> dict[str, object]:
        """Return the algorithms that the file asks for, as options; log unknown names once a line."""
        chosen: dict[str, object] = {}
        for option, choice in _ALGORITHMS.items():
            line = cast("str | None", found.config.get(choice.keyword))
            if line:
                chosen[option] = choice.changed_by(line)
                unknown = choice.unknown_in(line)
                if unknown and (choice.keyword, line) not in self._reported:
                    self._reported.add((choice.keyword, line))
                    logger.warning(
                        "SSH configuration %s: %s: unknown here: %s", self._file, choice.keyword, ", ".join(unknown)
                    )
        return chosen

    def _report_ignored_lines(self, text: str) -> None:
        """Log the keywords that OpenSSH would follow but a probe does not."""
        known = HONOURED | _IRRELEVANT
        keywords = _keywords(text, (self._file.resolve(),), set())
        words = {name for name in keywords if name.isascii() and name.isalnum()}  # not those of another kind of file
        ignored = sorted((name for name in words if name.lower() not in known), key=str.lower)
        if ignored:
            logger.warning("SSH configuration %s: these lines do not count here: %s", self._file, ", ".join(ignored))

    def _keys(self, files: list[str]) -> list[asyncssh.SSHKey]:
        keys = []
        for name in files:
            file = Path(name).expanduser()
            try:
                keys.append(read_identity(file))
            except ValueError as error:  # ssh skips it, too
                logger.warning("%s; %s names it", error, self._file)
        return keys


def _keywords(text: str, above: tuple[Path, ...], read: set[Path]) -> Iterator[str]:
    """Yield the first word of each line, also of included files, each of which is read once.

    `above` are the files that lead to the text. Raise ValueError for one that includes itself, or for too many levels.
    """
    for line in text.splitlines():
        words = re.split(r"[\s=]+", line.strip())
        if not words[0] or words[0].startswith("#"):
            continue
        yield words[0]
        if words[0].lower() != "include":
            continue
        for file in map(Path.resolve, _included(words[1:])):
            if file in above:
                raise ValueError(f"{file} includes itself")
            if len(above) > _DEEPEST:
                raise ValueError(f"{file} is more than {_DEEPEST} levels of Include below")
            if file not in read:
                read.add(file)
                yield from _keywords(whole_files.read_text(file, errors="replace"), (*above, file), read)


def _included(patterns: Sequence[str]) -> Iterator[Path]:
    for pattern in patterns:
        path = Path(pattern.strip('"')).expanduser()
        folder, rest = (Path(path.anchor), path.parts[1:]) if path.anchor else (Path("~/.ssh").expanduser(), path.parts)
        if rest:
            yield from (file for file in folder.glob(str(Path(*rest))) if file.is_file())


def _split_hop(hop: str) -> tuple[str, str, str]:
    """Split `[USER@]HOST[:PORT]` into user, host and port; an IPv6 address with a port is in brackets."""
    user, _, place = hop.rpartition("@")
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return user, host, port.removeprefix(":")
    if place.count(":") > 1:
        return user, place, ""
    host, _, port = place.partition(":")
    return user, host, port
