"""The agent of a simulated host: a TLS server beside sshd, as ImageStore's on port 8000 (domain 7.3)."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import TYPE_CHECKING, cast

from typing_extensions import override

from imagestore_sim.faults.behaviour import PortState
from imagestore_sim.faults.target import AgentState
from imagestore_sim.host_names import host_and_port
from imagestore_sim.hosts.agent_certificates import VALID, Authority, Certificate, server_context
from imagestore_sim.hosts.installation import LOG, installed_files
from imagestore_sim.hosts.link import Direction
from imagestore_sim.hosts.listener import LOOPBACK, Listener, NewListener
from imagestore_sim.in_flight import closed, moved, opened

if TYPE_CHECKING:
    from imagestore_sim.hosts.disk import VirtualDisk
    from imagestore_sim.hosts.host import SimulatedHost

logger = logging.getLogger(__name__)
PORT = 8000
"""The port that clients know it by, not the real one."""
INSTANCE = "X-Agent-Instance"
"""The header that names the run of the agent: another one after each restart."""
LONGEST_REQUEST = 8 * 1024
LONGEST_LOG = 64 * 1024
"""Bytes after which the older half of its log is dropped."""
_EXPIRED_SECONDS = 3600.0  # since when a certificate has expired that has


class Agent:
    """The agent of a host, which starts and stops with it, and by its service (`start`, `stop`, `restart`).

    Its port is open from the first time on that `open` was called.
    """

    def __init__(self, host: SimulatedHost, new_listener: NewListener = Listener) -> None:
        self._host = host
        self.authority = Authority()
        """Issues its certificate; of the hosts of a network that of the network."""
        self._starts = 1
        self._stopped = False
        """Whether its service was stopped by hand."""
        self._ran = False
        """Whether it ran when its log was last written."""
        self._installed_on: VirtualDisk | None = None
        self._listener = new_listener(lambda: AgentLink(host), host.clock, host.tasks)
        self._contexts: dict[bool, ssl.SSLContext] = {}
        """What it shows its certificate with, by whether that has expired."""
        self._certificates: dict[bool, Certificate] = {}
        """The certificates themselves, likewise."""
        self.links: dict[AgentLink, None] = {}
        """Connections that are open, the oldest first."""

    @property
    def instance(self) -> str:
        """Return the name of its run, which changes whenever it starts."""
        return f"{self._host.name}-{self._starts}"

    @property
    def is_running(self) -> bool:
        """Return whether it runs, whether or not its port has been opened."""
        return self._host.listening and not self._stopped and self._host.behaviour.agent is PortState.OPEN

    @property
    def is_open(self) -> bool:
        """Return whether its port has been opened, whatever the faults on it."""
        return self._listener.is_open

    @property
    def address(self) -> tuple[str, int]:
        """Return the real address and port that it listens on. Raise RuntimeError before the first `open`."""
        if self._listener.address is None:
            raise RuntimeError(f"the agent of {self._host.name} has not been asked for")
        return self._listener.address

    async def open(self, address: str = LOOPBACK, port: int = 0) -> tuple[str, int]:
        """Listen, unless it does already; return the real address and port. Raise OSError."""
        if not self._listener.is_open:
            await self._listener.open(address, port, self._port_state())
        return self.address

    async def settle(self) -> None:
        """Have its port do what the behaviour of the host says. Raise OSError."""
        self._note_run()
        state = self._port_state()
        await self._listener.become(state)
        if state is PortState.REFUSING:
            self._abort_links()

    def begin(self) -> None:
        """Begin to run with its host, whose disk has its files from then on."""
        if self._installed_on is not self._host.disk:
            self._install()
        self._stopped = False
        self._note_run()

    def end(self) -> None:
        """Close its port and its connections: the host is shut down."""
        self._listener.close()
        self.restart()
        self._note_run()

    async def start(self) -> bool:
        """Start its service; return whether it runs then, which a fault may prevent. Raise OSError."""
        if self._stopped:
            self._stopped = False
            self._starts += 1
        await self.settle()
        return self.is_running

    async def stop(self) -> None:
        """Stop its service, until it or the host is started. Raise OSError."""
        self._stopped = True
        await self.settle()

    def restart(self) -> None:
        """Restart it: cut its connections, and give the run another name."""
        if self.is_running:
            self._log(f"stopped {self.instance}")
        self._starts += 1
        self._abort_links()
        if self.is_running:
            self._log_start()

    async def state(self) -> AgentState:
        """Return how it is now; open its port for that. Raise ValueError while its host is stopped, and OSError."""
        if not self._host.listening:
            raise ValueError(f"{self._host.name} is stopped, and its agent with it")
        address = await self.open()
        self.context()
        certificate = self._certificates[self._host.behaviour.certificate_expired]
        return AgentState(
            running=self.is_running,
            address=host_and_port(*address),
            instance=self.instance if self.is_running else None,
            fingerprint=certificate.fingerprint,
            ends=certificate.ends,
            authority=self.authority.pem.decode(),
        )

    def context(self) -> ssl.SSLContext:
        """Return what it shows its certificate of this moment with, made at the first use. Raise OSError."""
        expired = self._host.behaviour.certificate_expired
        if expired not in self._contexts:
            now = self._host.clock.time()
            until = now - _EXPIRED_SECONDS if expired else now + VALID.total_seconds()
            certificate = self.authority.issue(self._host.name, until)
            self._certificates[expired] = certificate
            self._contexts[expired] = server_context(certificate)
        return self._contexts[expired]

    def answer(self, request: bytes) -> bytes:
        """Return the answer to an HTTP request."""
        path = request.split(b" ", 2)[1:2]
        if path != [b"/v2/"]:
            return _response("404 Not Found", self.instance)
        if self._host.behaviour.registry_lost:
            self._log("cannot use the folder registry: answered a request with status 500")
            return _response("500 Internal Server Error", self.instance)
        return _response("200 OK", self.instance)

    def _port_state(self) -> PortState:
        """Return the state of its port. A firewall that drops what is meant for sshd drops all."""
        now = self._host.behaviour
        if now.port is PortState.DEAF:
            return PortState.DEAF
        return PortState.REFUSING if self._stopped else now.agent

    def _install(self) -> None:
        """Put its files on the disk of its host. Log those that have no place there."""
        self._installed_on = self._host.disk
        for file in installed_files(PORT, self.authority.pem, self.authority.agents_key_pem):
            try:
                self._installed_on.install(*file)
            except OSError as error:
                logger.warning("%s: %s cannot be there: %s", self._host.name, file.path, error.strerror)

    def _note_run(self) -> None:
        """Log a start or a stop since the last call."""
        if self.is_running is self._ran:
            return
        self._ran = self.is_running
        if self._ran:
            self._log_start()
        else:
            self._log("stopped")

    def _log_start(self) -> None:
        self._log(f"started as {self.instance}, listens on port {PORT}")

    def _log(self, text: str) -> None:
        """Write a line to its log, in UTC; a disk that has no place for that does not disturb it."""
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self._host.clock.time()))
        try:
            self._host.disk.log(LOG, f"{at} zstore: {text}", LONGEST_LOG)
        except OSError as error:
            logger.debug("%s: %s cannot be written: %s", self._host.name, LOG, error.strerror)

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
        self._watched: int | None = None
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
        self._watched = opened(transport)
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
        closed(self._watched)
        self._in.close()
        self._out.close()
        self._host.agent.links.pop(self, None)


def _response(status: str, instance: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\n{INSTANCE}: {instance}\r\nDocker-Distribution-Api-Version: registry/2.0\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    ).encode()
