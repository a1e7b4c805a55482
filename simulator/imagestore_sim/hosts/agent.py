"""The agent of a simulated host: a TLS server beside sshd, as ImageStore's on port 8000 (domain 7.3)."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from imagestore_sim.faults.behaviour import Behaviour, PortState
from imagestore_sim.hosts.agent_certificates import VALID, Authority, server_context
from imagestore_sim.hosts.link import Direction
from imagestore_sim.hosts.listener import LOOPBACK, Listener
from imagestore_sim.in_flight import moved

if TYPE_CHECKING:
    from imagestore_sim.hosts.host import SimulatedHost

PORT = 8000
"""The port that clients know it by, not the real one."""
INSTANCE = "X-Agent-Instance"
"""The header that names the run of the agent: another one after each restart."""
LONGEST_REQUEST = 8 * 1024
_EXPIRED_SECONDS = 3600.0  # since when a certificate has expired that has


class Agent:
    """The agent of a host. Its port is open from the first time on that `open` was called."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self.authority = Authority()
        """Issues its certificate; of the hosts of a network that of the network."""
        self._starts = 1
        self._listener = Listener(lambda: AgentLink(host), host.clock, host.tasks)
        self._contexts: dict[bool, ssl.SSLContext] = {}
        """What it shows its certificate with, by whether that has expired."""
        self.links: dict[AgentLink, None] = {}
        """Connections that are open, the oldest first."""

    @property
    def instance(self) -> str:
        """Return the name of its run, which changes whenever it starts."""
        return f"{self._host.name}-{self._starts}"

    @property
    def is_running(self) -> bool:
        """Return whether it runs, whether or not its port has been opened."""
        return self._host.listening and self._host.behaviour.agent is PortState.OPEN

    @property
    def is_open(self) -> bool:
        """Return whether its port has been opened, whatever the faults on it."""
        return self._listener.is_open

    async def open(self) -> tuple[str, int]:
        """Listen, unless it does already; return the real address and port. Raise OSError."""
        if not self._listener.is_open:
            await self._listener.open(LOOPBACK, 0, _port_state(self._host.behaviour))
        assert self._listener.address is not None
        return self._listener.address

    async def settle(self) -> None:
        """Have its port do what the behaviour of the host says. Raise OSError."""
        state = _port_state(self._host.behaviour)
        await self._listener.become(state)
        if state is PortState.REFUSING:
            self._abort_links()

    def restart(self) -> None:
        """Restart it: cut its connections, and give the run another name."""
        self._starts += 1
        self._abort_links()

    def stop(self) -> None:
        """Close its port and its connections: the host is shut down."""
        self._listener.close()
        self.restart()

    def context(self) -> ssl.SSLContext:
        """Return what it shows its certificate of this moment with, made at the first use. Raise OSError."""
        expired = self._host.behaviour.certificate_expired
        if expired not in self._contexts:
            now = self._host.clock.time()
            until = now - _EXPIRED_SECONDS if expired else now + VALID.total_seconds()
            self._contexts[expired] = server_context(self.authority.issue(self._host.name, until))
        return self._contexts[expired]

    def answer(self, request: bytes) -> bytes:
        """Return the answer to an HTTP request."""
        path = request.split(b" ", 2)[1:2]
        if path != [b"/v2/"]:
            return _response("404 Not Found", self.instance)
        if self._host.behaviour.registry_lost:
            return _response("500 Internal Server Error", self.instance)
        return _response("200 OK", self.instance)

    def _abort_links(self) -> None:
        for link in list(self.links):
            link.abort()


class AgentLink(asyncio.Protocol):
    """One connection to the agent: TLS, one request, its answer."""

    def __init__(self, host: SimulatedHost) -> None:
        self._host = host
        self._in = Direction(host, self._arrive)
        self._out = Direction(host, self._leave)
        self._transport: asyncio.Transport
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._request = b""

    def abort(self) -> None:
        """Cut it at once."""
        self._out.close()
        self._transport.abort()

    def _arrive(self, data: bytes | None) -> None:
        moved()
        if data is None or self._tls is None or self._transport.is_closing():
            return
        self._received.write(data)
        try:
            done = self._step(self._tls)
        except ssl.SSLWantReadError:
            done = False
        except ssl.SSLError:
            done = True
        if sent := self._to_send.read():
            self._out.put(sent)
        if done:
            self._out.put(None)

    def _step(self, tls: ssl.SSLObject) -> bool:
        """Go on with the handshake, and then with the request; return whether it was answered."""
        tls.do_handshake()
        while b"\r\n\r\n" not in self._request:
            if len(self._request) > LONGEST_REQUEST:
                return True
            chunk = tls.read(LONGEST_REQUEST)
            if not chunk:
                return True
            self._request += chunk
        tls.write(self._host.agent.answer(self._request))
        return True

    def _leave(self, data: bytes | None) -> None:
        moved()
        if data is None:
            self._transport.close()
        else:
            self._transport.write(data)

    # What the event loop calls

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        moved()
        self._transport = cast(asyncio.Transport, transport)
        agent = self._host.agent
        agent.links[self] = None
        if not agent.is_running:
            self.abort()
            return
        self._tls = agent.context().wrap_bio(self._received, self._to_send, server_side=True)

    @override
    def data_received(self, data: bytes) -> None:
        self._in.put(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        moved()
        self._in.close()
        self._out.close()
        self._host.agent.links.pop(self, None)


def _port_state(now: Behaviour) -> PortState:
    """Return the state of the agent's port. A firewall that drops what is meant for sshd drops all."""
    return PortState.DEAF if now.port is PortState.DEAF else now.agent


def _response(status: str, instance: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\n{INSTANCE}: {instance}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    ).encode()
