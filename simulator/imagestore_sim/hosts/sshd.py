"""sshd of a simulated host: what it turns away, whom it logs in, and which sessions it opens."""

from __future__ import annotations

import asyncio
from functools import cache, lru_cache
from typing import TYPE_CHECKING, cast

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.packet import SSHPacketLogger
from typing_extensions import override

from imagestore_sim.clock import RealClock
from imagestore_sim.faults.behaviour import StartupLimit
from imagestore_sim.hosts.broken import flood_login
from imagestore_sim.hosts.link import Link
from imagestore_sim.hosts.session import Session
from imagestore_sim.hosts.sftp import DiskServer
from imagestore_sim.hosts.shell import home_of
from imagestore_sim.lean import LeanEvent, share_attributes
from imagestore_sim.ssh_logs import format_what_is_logged
from imagestore_sim.ssh_names import prepare_quickly
from imagestore_sim.ssh_packets import is_filling

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

# Cheap for both sides; the first of each is what OpenSSH and asyncssh agree on.
KEY_EXCHANGES = (
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
)
CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr")
# Of a client's connection.
_UNUSED_SETS = (
    "_revoked_host_keys",
    "_server_sig_algs",
    "_trusted_ca_keys",
    "_trusted_host_keys",
    "_x509_revoked_certs",
)
_NO_KEYS: frozenset[object] = frozenset()
MOST_KEYS = 64
"""Host keys whose options are kept."""


class Sshd:
    """Makes the SSH server of each connection to a host."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    def turns_away(self, limit: StartupLimit) -> bool:
        """Return whether one more connection is too many (should_drop_connection in OpenSSH's sshd.c)."""
        under_way = sum(not link.logged_in for link in self._host.links) - 1  # the one in question
        if under_way < limit.start:
            return False
        if under_way >= limit.full or limit.rate == 100:
            return True
        share = (100 - limit.rate) * (under_way - limit.start) / (limit.full - limit.start) + limit.rate
        return self._host.random.random() * 100 < share

    def new_connection(self) -> asyncssh.SSHServerConnection:
        """Return an SSH server for one connection, with the key that the host has now."""
        return HostConnection(self._host)


class HostConnection(asyncssh.SSHServerConnection):
    """asyncssh's part of a connection, which takes less memory once a client has logged in and keeps it open."""

    def __init__(self, host: SimulatedHost) -> None:
        format_what_is_logged()
        prepare_quickly()
        options = _options(host.behaviour.host_key or host.host_key)
        super().__init__(asyncio.get_running_loop(), options)
        # asyncssh takes it from the options. Options for each host would cost more than all else of it.
        self._protocol_factory = lambda: SshdConnection(host)
        self._in_real_time = isinstance(host.clock, RealClock)

    async def reload_config(self) -> None:
        """Read no configuration for the user who logs in: there is none."""

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send a packet, without the filling before it (`ssh_packets`).

        No cipher that needs it is offered here. In virtual time it is sent: the turns of the event loop
        that it takes count there.
        """
        if self._in_real_time and is_filling(pkttype, args):
            return
        super().send_packet(pkttype, *args, handler=handler)

    def become_idle(self) -> None:
        """Drop what only the login needed."""
        self._client_kexinit = self._server_kexinit = b""
        self._extra = {}  # names of ciphers and addresses, which nothing here asks for any more
        self._extensions_to_send.clear()
        for name in _UNUSED_SETS:
            setattr(self, name, _NO_KEYS)
        if not self.is_closed():
            self._close_event = LeanEvent()
        share_attributes(self)


class SshdConnection(asyncssh.SSHServer):
    """One connection to a host, from TCP on: its login and its sessions, with what faults do to them."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, HostConnection)
        self._link: Link = conn.get_extra_info("link")
        self._connection = conn
        self._sessions = 0
        self._username = ""  # asyncssh begins no login of a user without a name: that is what it has at first
        self._configured = self._host.behaviour
        """A connection keeps the configuration that sshd had when it was made."""

    @override
    async def begin_auth(self, username: str) -> bool:
        self._username = username
        if self._host.behaviour.flood == "login":
            flood_login(self._connection)
        if self._host.behaviour.login_seconds:
            await self._link.hold(self._host.clock.sleep(self._host.behaviour.login_seconds))
        return True

    @override
    def password_auth_supported(self) -> bool:
        return True  # keyboard-interactive too: asyncssh derives it from this

    @override
    def validate_password(self, username: str, password: str) -> bool:
        accepted = self._host.accounts.accepts_password(username, password)
        if accepted and self._host.behaviour.expired_password:
            raise asyncssh.PasswordChangeRequired("Your password has expired. New password: ")
        return accepted and not self._refuses_account()

    def _refuses_account(self) -> bool:
        """Return whether sshd closes the connection now that it knows the account, as PAM has it; close it then."""
        if self._host.behaviour.expired_account:
            self._link.finish()
        return self._host.behaviour.expired_account

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._host.accounts.accepts_key(username, key) and not self._refuses_account()

    @override
    def auth_completed(self) -> None:
        self._host.logins += 1
        self._link.logged_in = True

    @override
    def session_requested(self) -> Session:
        host = self._host
        allowed = self._configured.max_sessions
        if allowed is not None and self._sessions >= allowed:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "open failed")
        self._sessions += 1
        has_sftp = host.sftp and not self._configured.no_sftp
        sftp = self._serve_disk if has_sftp else None
        return Session(host, self._username, self._link, sftp, self._configured.forced_answer, self._session_ended)

    def _session_ended(self) -> None:
        self._sessions -= 1

    def _serve_disk(self, channel: SSHChannel[bytes]) -> DiskServer:
        asyncio.get_running_loop().call_soon(self._connection.become_idle)
        host = self._host
        server_channel = cast("asyncssh.SSHServerChannel[bytes]", channel)
        return DiskServer(server_channel, host, self._link, home_of(host.disk, self._username))


@cache
def common_key() -> asyncssh.SSHKey:
    """Return the host key of all hosts of this process that have none of their own: to make one costs a login."""
    return asyncssh.generate_private_key("ssh-ed25519")


@lru_cache(MOST_KEYS)
def _options(key: asyncssh.SSHKey | None) -> asyncssh.SSHServerConnectionOptions:
    """Return the options of hosts with a key; None: the common one."""
    return asyncssh.SSHServerConnectionOptions(
        config=None,
        server_host_keys=[key or common_key()],
        server_version="imagestore_sim",
        kex_algs=list(KEY_EXCHANGES),
        encryption_algs=list(CIPHERS),
        compression_algs=None,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        host_based_auth=False,
        gss_host=None,
        gss_kex=False,
        gss_auth=False,
        agent_forwarding=False,
        errors="surrogateescape",  # names of files are bytes
        login_timeout=0,  # a client that dawdles costs nothing here
    )
