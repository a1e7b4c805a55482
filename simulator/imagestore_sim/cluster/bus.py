"""Messages between management nodes: each is a POST to `/zstack/cloudbus` of its receiver, as in ZStack.

A call is two messages: the call itself, which the receiver takes at once, and the reply, once the work is done. Both
are sealed with a key that every node derives from the vault's: only a node of the same store can read or write them. A
message that was lost on the way is sent again; its receiver takes it once. A call ends with NodeGone when its receiver
leaves (docs/cluster.md).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson
from aiohttp import web

from imagestore_sim.clock import Clock
from imagestore_sim.cluster.errors import CallBroken, NodeGone, NodeLeft, TooManyCalls
from imagestore_sim.cluster.links import Links
from imagestore_sim.cluster.peers import Peers
from imagestore_sim.cluster.received import Received
from imagestore_sim.host_names import is_this_machine
from imagestore_sim.plain_reasons import plain_reason
from imagestore_sim.tasks import Tasks, is_being_cancelled
from imagestore_sim.web_client import heads_connector

logger = logging.getLogger(__name__)
PATH = "/zstack/cloudbus"
LONGEST_POST_SECONDS = 5.0
PAUSE_SECONDS = 0.5
"""Between two attempts to send a message."""
UNREACHABLE_SECONDS = 45.0
"""How long a message is sent again to a node that lives by its heartbeats, but takes none; ZStack lets a node leave
after 40 seconds without a heartbeat."""
MOST_CALLS = 10_000
"""Calls to other nodes that wait for their replies at one time."""
Content = Mapping[str, Any]
Service = Callable[[Content], Awaitable[Content]]
"""Does what a call asks, and returns the content of the reply."""


class Seal(Protocol):
    """Encrypts and signs messages (`cryptography.fernet.Fernet`)."""

    def encrypt(self, data: bytes) -> bytes:
        """Return the sealed form of a message."""

    def decrypt(self, token: bytes) -> bytes:
        """Return a message from its sealed form. Raise an exception for one that was sealed with another key."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A call that waits for its reply."""

    node: str
    reply: asyncio.Future[Content]


class Bus:
    """Sends calls to other nodes, and carries out theirs."""

    def __init__(self, peers: Peers, seal: Seal, clock: Clock, links: Links | None = None) -> None:
        """Take `links` of a node that a test can cut off from the others."""
        self._links = links
        self._peers = peers
        self._seal = seal
        self._clock = clock
        self._services: dict[str, Service] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._received = Received()
        self._start = secrets.token_hex(8)
        """What tells the messages of this start from those of an earlier one, which the node numbered from 1, too."""
        self._sent = 0
        self._tasks = Tasks()
        self._carrying = Tasks()
        """The calls of other nodes that are carried out."""
        self._serves = True
        """Whether it takes messages."""
        self._http: aiohttp.ClientSession | None = None
        peers.on_left(self._node_left)

    def serve(self, service: str, handle: Service) -> None:
        """Let `handle` carry out the calls of a service."""
        self._services[service] = handle

    async def call(self, node: str, service: str, content: Content, *, seconds: float) -> Content:
        """Have another node carry out a call, and return its reply.

        Raise NodeLeft if the node leaves, NodeGone if it takes no message or has not replied after `seconds`;
        CallBroken; TooManyCalls.
        """
        if len(self._waiting) >= MOST_CALLS:
            raise TooManyCalls(MOST_CALLS)
        number = self._next_number()
        waiting = _Waiting(node, asyncio.get_running_loop().create_future())
        self._waiting[number] = waiting
        sending = self._tasks.begin(self._send_call(number, waiting, service, content), f"call of {service}")
        try:
            return await self._clock.wait_for(asyncio.shield(waiting.reply), seconds)
        except TimeoutError:
            raise NodeGone(node) from None
        finally:
            del self._waiting[number]
            waiting.reply.cancel()
            sending.cancel()

    async def tell_all(self, service: str, content: Content, *, seconds: float) -> None:
        """Have every other node carry out a call, all at once. One that leaves or fails is logged."""
        others = [node for node in self._peers.members if node != self._peers.uuid]
        await asyncio.gather(*(self._tell(node, service, content, seconds) for node in others))

    async def _tell(self, node: str, service: str, content: Content, seconds: float) -> None:
        try:
            await self.call(node, service, content, seconds=seconds)
        except (NodeGone, CallBroken, TooManyCalls) as error:
            logger.warning("%s was not carried out on management node %s: %s", service, node, error)

    async def announce(self, service: str, *, seconds: float) -> None:
        """Have every other node carry out a call: send it once, for `seconds` at most, and wait for no reply."""
        others = [node for node in self._peers.members if node != self._peers.uuid]
        message = {"service": service, "content": {}, "announced": True}
        with suppress(TimeoutError):
            await self._clock.wait_for(asyncio.gather(*(self._announce(node, message) for node in others)), seconds)

    async def _announce(self, node: str, message: Content) -> None:
        if (address := self._peers.address_of(node)) is not None:
            problem = await self._post(node, address, self._sealed(node, self._next_number(), message))
            if problem is not None:
                logger.info("management node %s at %s takes no announcement: %s", node, address, problem)

    async def receive(self, request: web.Request) -> web.Response:
        """Take a message: 200 once it is taken, 403 for one that no node of this store has sealed.

        410 says that it was meant for another node, such as one that ran at this address before.
        """
        try:
            message = orjson.loads(self._seal.decrypt(await request.read()))
        except Exception:  # whatever the library raises for bytes that it has not sealed
            return web.Response(status=403, text="this message was not sealed by a management node of this store")
        try:
            await self._pass_link(message["from"])
        except OSError as error:
            return web.Response(status=503, text=str(error))
        if message["to"] != self._peers.uuid or not self._serves:
            return web.Response(status=410, text=f"this is the management node {self._peers.uuid}")
        if self._received.is_new(message["from"], message["start"], message["number"]):
            self._take(message)
        return web.Response()

    def cut_off(self) -> None:
        """Send and take nothing more, as a kill -9 would."""
        self._serves = False
        self._tasks.cancel()
        self._carrying.cancel()

    async def stop_serving(self) -> None:
        """Carry out no call of another node any more, and cancel those that are. This node can call others still."""
        self._serves = False
        await self._carrying.close()

    async def close(self) -> None:
        """Cancel what is being sent and carried out; calls that wait end with NodeGone."""
        await self.stop_serving()
        await self._tasks.close()
        for waiting in self._waiting.values():
            _fail(waiting, NodeGone(self._peers.uuid))
        if self._http is not None:
            await self._http.close()
            self._http = None

    def _next_number(self) -> int:
        self._sent += 1
        return self._sent

    def _node_left(self, node: str) -> None:
        """End the calls that wait for a node."""
        self._received.forget(node)
        for waiting in self._waiting.values():
            if waiting.node == node:
                _fail(waiting, NodeLeft(node))

    def _take(self, message: Content) -> None:
        if "service" in message:
            self._carrying.begin(self._carry_out(message), f"call of {message['service']} by {message['from']}")
        elif message["ofStart"] != self._start:
            logger.info("management node %s replies to a call of an earlier start", message["from"])
        elif (waiting := self._waiting.get(message["of"])) is not None and not waiting.reply.done():
            if "broken" in message:
                _fail(waiting, CallBroken(message["broken"]))
            else:
                waiting.reply.set_result(message["content"])

    async def _carry_out(self, message: Content) -> None:
        """Carry out a call of another node, and send the reply."""
        reply: dict[str, Any] = {"of": message["number"], "ofStart": message["start"]}
        try:
            reply["content"] = await self._services[message["service"]](message["content"])
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            reply["broken"] = "what the call waited for was cancelled"
        except Exception as error:
            logger.exception("the call of %s by management node %s went wrong", message["service"], message["from"])
            reply["broken"] = f"{type(error).__name__}: {error}"
        if "announced" in message:
            return
        try:
            await self._send(message["from"], self._next_number(), reply, is_reply=True)
        except NodeGone as error:
            logger.info("the reply to a call of %s is lost: %s", message["service"], error)

    async def _send_call(self, number: int, waiting: _Waiting, service: str, content: Content) -> None:
        try:
            await self._send(waiting.node, number, {"service": service, "content": content})
        except NodeGone as error:
            _fail(waiting, error)

    async def _send(self, node: str, number: int, message: Content, *, is_reply: bool = False) -> None:
        """Send a message until its receiver has taken it. Raise NodeLeft if that leaves, NodeGone.

        Who waits for a reply may have joined again, and not be known here yet: a call to it has no such reason to wait.
        """
        body = self._sealed(node, number, message)
        deadline = self._clock.monotonic() + UNREACHABLE_SECONDS
        while (address := self._peers.address_of(node)) is not None or is_reply:
            problem = "it is no member" if address is None else await self._post(node, address, body)
            if problem is None:
                return
            if problem == "410":
                break
            if self._clock.monotonic() >= deadline:
                raise NodeGone(node)
            logger.info("management node %s at %s takes no message: %s", node, address, problem)
            await self._clock.sleep(PAUSE_SECONDS)
        raise NodeLeft(node)

    def _sealed(self, node: str, number: int, message: Content) -> bytes:
        whole = {"from": self._peers.uuid, "start": self._start, "to": node, "number": number, **message}
        return self._seal.encrypt(orjson.dumps(whole))

    async def _post(self, node: str, address: str, body: bytes) -> str | None:
        """Post a message to a node once; return why its receiver did not take it, None if it did."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=heads_connector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        try:
            await self._pass_link(node)
            with self._reaching(address):
                return await self._clock.wait_for(_status_of(self._http, address, body), LONGEST_POST_SECONDS)
        except TimeoutError:
            return f"no answer within {LONGEST_POST_SECONDS:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return plain_reason(error)

    async def _pass_link(self, node: str) -> None:
        """Wait while a test has paused this node. Raise ConnectionRefusedError if it is cut off from the other one."""
        if self._links is not None:
            await self._links.pass_peers(node)

    def _reaching(self, address: str) -> AbstractContextManager[None]:
        """Return a context in which no time is skipped, if the other node is on another machine."""
        return nullcontext() if is_this_machine(address) else self._clock.outside()


async def _status_of(http: aiohttp.ClientSession, address: str, body: bytes) -> str | None:
    async with http.post(f"{address}{PATH}", data=body, allow_redirects=False) as response:
        return None if response.status == 200 else str(response.status)


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.reply.done():
        waiting.reply.set_exception(error)
