"""Handlers that another management node runs: that of the storage which a message is about (docs/cluster.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import Generic, TypeVar

from imagestore_sim.cluster import Bus, CallBroken, NodeGone, Peers
from imagestore_sim.cluster.bus import Content
from imagestore_sim.correlation import correlated, correlation
from imagestore_sim.database import Database
from imagestore_sim.ids import new_uuid
from imagestore_sim.rest.errors import ApiError, NothingToDo, PlainError
from imagestore_sim.rest.messages import Call, CreateMessage, Declared, Handlers, Message, Reply, made
from imagestore_sim.rest.origins import client_address
from imagestore_sim.rest.wire import read_error, read_failure, read_reply, write_error, write_failure, write_reply
from imagestore_sim.tasks import cancel_and_wait

S = TypeVar("S")
SERVICE = "handler"
CANCEL = "cancel of a handler"
CANCEL_SECONDS = 10.0
"""How long a node waits for others to end what they carry out for a call that is cancelled."""


class RemoteFailure(Exception):
    """A handler that ran on another node has raised an exception other than ApiError; `error` is what it stands for."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error


class RemoteHandlers(Generic[S]):
    """Has the owner of a storage run the handlers of messages about it, and runs those that other nodes send."""

    def __init__(
        self,
        handlers: Handlers[S],
        services: S,
        database: Database,
        peers: Peers,
        bus: Bus,
        translate: Callable[[Exception], ApiError | None],
    ) -> None:
        self._handlers = handlers
        self._services = services
        self._database = database
        self._peers = peers
        self._bus = bus
        self._translate = translate
        self._serving: dict[str, asyncio.Task[object]] = {}
        """By the uuid of its call: what this node carries out for another."""
        bus.serve(SERVICE, self._serve)
        bus.serve(CANCEL, self._cancel)

    @cached_property
    def _by_name(self) -> Mapping[str, Declared]:
        """The messages by their names, which are collected at the first call of another node."""
        return self._handlers.by_name()

    def placed(self, message: Message) -> Message:
        """Return the message with the uuid of the resource that it creates: its owner follows from that."""
        if self._peers.is_alone or not isinstance(message, CreateMessage) or message.owned_by != "resourceUuid":
            return message
        return message if message.resourceUuid else message.but(resourceUuid=new_uuid())

    async def run(self, message: Message, call: Call) -> Reply:
        """Run the handler of a message: here, or on the node that owns what it is about.

        Raise what the handler raises, RemoteFailure in place of what it raises there beside ApiError and PlainError;
        and NodeGone when that node leaves meanwhile.
        """
        node = self._owner(message)
        if node is None:
            reply = await self._run(message, call)
            if not message.asks_all_nodes or any(reply.body.values()):
                return reply
            return await self._first_of_others(message, call) or reply
        return await self._run_on(node, message, call)

    async def cancel_elsewhere(self, call: str) -> None:
        """Have the other nodes cancel what they carry out for a call, and wait for its end, CANCEL_SECONDS at most."""
        if not self._peers.is_alone:
            await self._bus.tell_all(CANCEL, {"call": call}, seconds=CANCEL_SECONDS)

    async def _cancel(self, content: Content) -> Content:
        if (task := self._serving.get(content["call"])) is not None:
            await cancel_and_wait(task)
        return {}

    async def _first_of_others(self, message: Message, call: Call) -> Reply | None:
        """Return the first reply of another node that says something; None without one."""
        for node in self._peers.members:
            if node != self._peers.uuid:
                with suppress(NodeGone, CallBroken):
                    reply = await self._run_on(node, message, call)
                    if any(reply.body.values()):
                        return reply
        return None

    async def _run_on(self, node: str, message: Message, call: Call) -> Reply:
        content = {
            "message": type(message).__name__,
            "values": vars(message),
            "call": call.uuid,
            "account": call.account_uuid,
            "correlation": correlation(),
        }
        answer = await self._bus.call(node, SERVICE, content, seconds=type(message).api.timeout_seconds)
        if "raised" in answer:
            raise read_failure(answer["raised"])
        if "translated" in answer:
            raise RemoteFailure(read_error(answer["translated"]))
        return read_reply(answer["reply"])

    def _receive_uploads_here(self) -> None:
        """Let the handler name this node as the one that an image is uploaded to: the client may have asked another."""
        if (address := self._peers.address_of(self._peers.uuid)) is not None:
            client_address.set(address.removeprefix("http://"))

    def _owner(self, message: Message) -> str | None:
        """Return the node that runs the handler; None if it is this one."""
        if self._peers.is_alone or (resource := message.owned()) is None:
            return None
        owner = self._peers.owner_of(resource)
        return None if owner == self._peers.uuid else owner

    async def _serve(self, content: Content) -> Content:
        """Run the handler of a message that another node has checked."""
        message = made(self._by_name[content["message"]])(**content["values"])
        call = Call(content["call"], content["account"])
        with self._noted(call.uuid), correlated(content["correlation"] or call.uuid):
            try:
                return {"reply": write_reply(await self._run(message, call), self._database.dialect)}
            except NothingToDo:
                return {"reply": write_reply(Reply(), self._database.dialect)}
            except (ApiError, PlainError) as failure:
                return {"raised": write_failure(failure)}
            except Exception as error:
                if (known := self._translate(error)) is None:
                    raise
                return {"translated": write_error(known)}

    @contextmanager
    def _noted(self, call: str) -> Iterator[None]:
        """Let other nodes cancel the current task while the block runs."""
        task = asyncio.current_task()
        assert task is not None
        self._serving[call] = task
        try:
            yield
        finally:
            if self._serving.get(call) is task:
                del self._serving[call]

    async def _run(self, message: Message, call: Call) -> Reply:
        handler = self._handlers.handler_of(type(message))
        if not self._peers.is_alone:
            self._receive_uploads_here()
        if message.waits or not message.owned_by:
            return await handler(self._services, message, call)
        # Such a handler changes nothing but the store. The job of a call that another node may carry out is no single
        # transaction, and makes nothing again (`JobStarter`).
        return await self._database.atomically(partial(handler, self._services, message, call))
