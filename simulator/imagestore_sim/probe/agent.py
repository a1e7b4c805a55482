"""A ping of the agent of a host: one request over TLS, as to ImageStore's on port 8000 (domain 7.3)."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from functools import cache

from cryptography import x509

from imagestore_sim.clock import Clock
from imagestore_sim.host_names import host_and_port
from imagestore_sim.in_flight import closed, opened_socket
from imagestore_sim.probe.failures import Failed, excerpt
from imagestore_sim.probe.permit import PermittedTransport, check_permit, current_permit, reset_at_its_end
from imagestore_sim.probe.phases import Phases
from imagestore_sim.probe.resolving import Address, Resolve
from imagestore_sim.probe.safe_names import check_names
from imagestore_sim.probe.target import Target
from imagestore_sim.reasons import Reason

PORT = 8000
INSTANCE = b"x-agent-instance"
"""The header, in lower case, in which a simulated agent names its run; others need not have it."""
_MOST_BYTES = 16 * 1024
_STATUS = re.compile(rb"[0-9]{3}")
_SERVER_ERROR = 500


class AgentClient:
    """Asks agents whether they can serve. The authority of their certificates is not checked, as with host keys."""

    def __init__(self, clock: Clock, resolve: Resolve, timeout: float, port: int = PORT) -> None:
        """Take the timeout of a ping, in seconds, and the port of all agents."""
        self.port = port
        self._clock = clock
        self._resolve = resolve
        self._timeout = timeout

    async def ask(self, target: Target, phases: Phases) -> str | None:
        """Return the name of the run of the agent on a target's host; None from one that names none.

        Raise Failed for an agent that does not serve, OSError, TimeoutError.
        """
        check_names(target)
        try:
            run = await self._clock.wait_for(self._ask(target, phases), self._timeout)
        except (TimeoutError, Failed, OSError) as error:
            raise _explained(error, phases) from error
        phases.end()
        return run

    async def _ask(self, target: Target, phases: Phases) -> str | None:
        phases.begin("resolve")
        address = await self._resolve(target.hostname, self.port)
        phases.begin("tcp")
        check_permit()
        connection = await _connected(address)
        watched = opened_socket(connection)
        try:
            phases.begin("kex")
            return await self._ask_over(connection, target, phases)
        finally:
            closed(watched)

    async def _ask_over(self, connection: socket.socket, target: Target, phases: Phases) -> str | None:
        # TLS reads the first byte: a server that speaks before its client, as sshd does, fails the handshake each time.
        reader, writer = await asyncio.open_connection(sock=connection, ssl=_context(), server_hostname=target.hostname)
        transport = PermittedTransport(writer.transport, current_permit())
        try:
            phases.begin("command")
            self._check_certificate(writer.get_extra_info("ssl_object"))
            check_permit()
            host = host_and_port(target.hostname, self.port)
            writer.write(f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return _read_answer(await _head(reader))
        finally:
            transport.abort()

    def _check_certificate(self, tls: ssl.SSLObject) -> None:
        shown = tls.getpeercert(binary_form=True)
        if shown is None:
            raise Failed(Reason.AGENT_DOWN, "what listens there shows no certificate")
        end = x509.load_der_x509_certificate(shown).not_valid_after_utc
        if end.timestamp() <= self._clock.time():
            raise Failed(Reason.CERTIFICATE_EXPIRED, f"the certificate of the agent has expired on {end:%Y-%m-%d}")


async def _connected(address: Address) -> socket.socket:
    """Return a socket that is connected to a numeric address. Raise OSError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)
        reset_at_its_end(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Return what the agent answers, up to the end of its headers."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MOST_BYTES:
        chunk = await reader.read(_MOST_BYTES)
        if not chunk:
            break
        head += chunk
    return head


def _read_answer(head: bytes) -> str | None:
    """Return the run that an answer names. Raise Failed for one that is no HTTP, or a failure of the agent."""
    line, *headers = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
    words = line.split(b" ", 2)
    if not line.startswith(b"HTTP/1.") or len(words) < 2 or not _STATUS.fullmatch(words[1]):
        raise Failed(Reason.AGENT_DOWN, "what listens there is no agent: it does not answer in HTTP")
    if int(words[1]) >= _SERVER_ERROR:
        text = excerpt(line.decode("latin-1"))
        raise Failed(Reason.REGISTRY_LOST, f"the agent cannot use its registry ({text})")
    fields = {name.strip().lower(): value.strip() for name, _, value in (one.partition(b":") for one in headers)}
    run = fields.get(INSTANCE)
    return None if run is None else run.decode("latin-1")


def _explained(error: Exception, phases: Phases) -> Exception:
    """Return an error in the terms of an agent; one of the network before there is a connection stays as it is."""
    match error:
        case ConnectionRefusedError():
            return Failed(Reason.AGENT_DOWN, "the agent's port refuses connections")
        case ssl.SSLError():
            return Failed(Reason.AGENT_DOWN, f"what listens there is no agent: no TLS ({excerpt(error)})")
        case TimeoutError() if phases.current in ("kex", "command"):
            return Failed(Reason.TIMEOUT, "the connection was accepted, but the agent did not answer in time")
        case ConnectionError() if phases.current in ("kex", "command"):
            why = excerpt(error.strerror or error) or "its side ended it"
            return Failed(Reason.RESET, f"the connection to the agent was lost ({why})")
    return error
