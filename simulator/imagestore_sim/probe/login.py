"""Logging in to a host, directly, through jump hosts or over a command."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast
from weakref import WeakValueDictionary

import asyncssh

from imagestore_sim.clock import Clock, RealClock
from imagestore_sim.in_flight import under_way
from imagestore_sim.probe import prepared_connect
from imagestore_sim.probe.algorithms import CIPHERS, HOST_KEYS, KEY_EXCHANGES, MACS
from imagestore_sim.probe.bounded_tunnel import BoundedTunnel
from imagestore_sim.probe.connection import ConnectionChain
from imagestore_sim.probe.failures import Failed
from imagestore_sim.probe.host_keys import DEFAULT_PORT, HostKeyPolicy, HostKeys
from imagestore_sim.probe.idle_connections import become_idle
from imagestore_sim.probe.local_account import name_the_account
from imagestore_sim.probe.login_client import LoginClient
from imagestore_sim.probe.login_slots import LoginSlots, Purpose
from imagestore_sim.probe.permit import check_permit
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.resolving import Address, Resolve, literal_address
from imagestore_sim.probe.safe_names import check_names
from imagestore_sim.probe.ssh_config import Route, SshConfig
from imagestore_sim.probe.target import Target
from imagestore_sim.reasons import Reason
from imagestore_sim.ssh_logs import format_what_is_logged

_LOGINS_AN_ADDRESS = 5  # at once: sshd's MaxStartups (10:30:100) begins to turn some away at 10


class Login:
    """Logs in to hosts, a bounded number at once and fewer to one address."""

    def __init__(
        self,
        clock: Clock,
        resolve: Resolve,
        identity: asyncssh.SSHKey | None,
        host_keys: HostKeys,
        ssh_config: Path | None,
        connect_timeout: float,
        max_logins: int,
    ) -> None:
        """Take the timeout of a login in seconds, and the number of logins at once for each purpose.

        Raise ValueError for a bad `ssh_config`.
        """
        format_what_is_logged()
        name_the_account()
        self._clock = clock
        self._resolve = resolve
        self._host_keys = host_keys
        self._timeout = connect_timeout
        self._slots = LoginSlots(clock, max_logins)
        self._slots_at: WeakValueDictionary[Address, asyncio.Semaphore] = WeakValueDictionary()
        base = _base_options(host_keys)
        self._has_key = identity is not None
        self._options = asyncssh.SSHClientConnectionOptions(**base, client_keys=[identity] if identity else None)
        self._ssh_config = None if ssh_config is None else SshConfig(ssh_config, identity, base)
        # In virtual time the turns of the event loop count that asyncssh takes to prepare its options in a thread.
        self._is_quick = ssh_config is None and isinstance(clock, RealClock)

    async def log_in(
        self, target: Target, phases: Phases, tunnel: BoundedTunnel, purpose: Purpose, *, suspect: bool
    ) -> ConnectionChain:
        """Log in over `tunnel` within the timeout, which does not include waiting for a slot.

        Raise TimeoutError, OSError, asyncssh.Error; Failed for an untrusted host key or an invalid name.
        """
        route = await self._route_to(target)
        if not route.direct:
            phases.begin("tcp")
            async with self._slots.slot(purpose, suspect=suspect):
                return await self._clock.wait_for(self._log_in_by_hops(route, tunnel, target, phases), self._timeout)
        began = self._clock.monotonic()
        phases.begin("resolve")
        tunnel.address = await self._clock.wait_for(self._resolve(route.host, route.port), self._timeout)
        tunnel.local = route.local
        phases.end()
        left = self._timeout - (self._clock.monotonic() - began)
        at_address = self._slots_at.setdefault(tunnel.address, asyncio.Semaphore(_LOGINS_AN_ADDRESS))
        async with at_address, self._slots.slot(purpose, suspect=suspect):
            return [await self._clock.wait_for(self._connect(route, tunnel, target, phases), left)]

    async def connect_only(self, target: Target, phases: Phases) -> bool:
        """Connect to the SSH port within the timeout, and close; return False where a login has other hosts on its way.

        Raise TimeoutError, OSError; Failed for an invalid name.
        """
        route = await self._route_to(target)
        if route.direct:
            await self._clock.wait_for(self._connect_only(route, phases), self._timeout)
            phases.end()
        return route.direct

    async def _connect_only(self, route: Route, phases: Phases) -> None:
        phases.begin("resolve")
        address = await self._resolve(route.host, route.port)
        phases.begin("tcp")
        check_permit()
        local = None if route.local is None else (route.local, 0)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *address, local_addr=local)
        transport.abort()

    async def close(self) -> None:
        """Stop managing the slots of logins that are under way."""
        await self._slots.close()

    async def _route_to(self, target: Target) -> Route:
        check_names(target)
        if self._ssh_config is None:
            host = literal_address(target.hostname) or target.hostname
            return Route(self._options, host, target.port, self._has_key)
        try:
            with under_way():
                return await asyncio.to_thread(self._ssh_config.route_to, target)
        except (OSError, ValueError) as error:
            raise Failed(Reason.AUTH_FAILED, f"the SSH configuration cannot be used ({error})") from error

    async def _log_in_by_hops(
        self, route: Route, tunnel: BoundedTunnel, target: Target, phases: Phases
    ) -> ConnectionChain:
        """Log in from one host on the way to the next; the last connection of the chain is to the target."""
        chain: ConnectionChain = []
        try:
            for hop in route.hops:
                chain.append(await route.connect_hop(hop, chain[-1] if chain else None))
            tunnel.through, tunnel.command = chain[-1] if chain else None, route.command
            chain.append(await self._connect(route, tunnel, target, phases))
        except BaseException:
            for ssh in reversed(chain):
                ssh.abort()
            raise
        return chain

    async def _connect(
        self, route: Route, tunnel: BoundedTunnel, target: Target, phases: Phases
    ) -> asyncssh.SSHClientConnection:
        client = LoginClient(phases, self._host_keys, target, tunnel.evidence)
        own: dict[str, Any] = {"username": target.username, "preferred_auth": _methods(route, target) or ["none"]}
        if algorithms := self._host_key_algorithms(route, tunnel.address[0]):
            own["server_host_key_algs"] = algorithms
        try:
            if self._is_quick:
                ssh = await prepared_connect.connect(route.options, route.host, route.port, client, tunnel, **own)
            else:
                ssh = await _connect_by_asyncssh(route, client, tunnel, own)
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            ignored = self._host_keys.policy is HostKeyPolicy.IGNORE
            if client.complaint is None and (ignored or "host key" not in str(error)):
                raise
            raise Failed(Reason.HOST_KEY_CHANGED, client.complaint or f"no host key that is known ({error})") from error
        become_idle(ssh, route.options)
        return ssh

    def _host_key_algorithms(self, route: Route, address: str) -> list[str]:
        """Return the algorithms to ask for; empty if host keys are ignored, or the SSH configuration names some."""
        if self._host_keys.policy is HostKeyPolicy.IGNORE or route.options.config.get("HostKeyAlgorithms"):
            return []
        host = route.options.host_key_alias or route.host
        return self._host_keys.algorithms(host, address, None if route.port == DEFAULT_PORT else route.port)


async def _connect_by_asyncssh(
    route: Route, client: LoginClient, tunnel: BoundedTunnel, own: dict[str, Any]
) -> asyncssh.SSHClientConnection:
    """Connect with options that asyncssh prepares for this login, as a configuration file has them."""
    with ExitStack() as before_it_connects:
        # It does so in a thread, which a clock that is stepped or runs fast has to wait for.
        before_it_connects.enter_context(under_way())
        tunnel.on_connecting = before_it_connects.close
        return await asyncssh.connect(
            route.host,
            route.port,
            config=route.options.kwargs["config"],
            options=route.options,
            client_factory=lambda: client,
            tunnel=cast(asyncssh.SSHClientConnection, tunnel),  # asyncssh only calls its create_connection
            **own,
        )


def _methods(route: Route, target: Target) -> list[str]:
    """Return the authentication methods to try, in order."""
    methods = ["publickey"] if route.has_keys else []
    if target.password is not None:
        methods += ["password", "keyboard-interactive"]
    if not route.preferred:
        return methods
    return [method for method in route.preferred if method in methods]


def _base_options(host_keys: HostKeys) -> dict[str, object]:
    """Return asyncssh's options for every login: nothing of the user's own files, agent or tickets is used."""
    return {
        "config": None,
        "known_hosts": None if host_keys.policy is HostKeyPolicy.IGNORE else host_keys.trusted,
        "agent_path": None,
        "gss_host": None,
        "gss_kex": False,
        "gss_auth": False,
        "host_based_auth": False,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": [],
        "kex_algs": list(KEY_EXCHANGES.default),
        "encryption_algs": list(CIPHERS.default),
        "mac_algs": list(MACS.default),
        "server_host_key_algs": list(HOST_KEYS.default),
        "compression_algs": None,  # a host could send little that unpacks to very much
        "login_timeout": 0,  # the lab's clock bounds the login, not the event loop
    }
