"""Starts the jobs of calls: here, or on the node that the ring gives the job to (docs/cluster.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from imagestore_sim.cluster import Bus, CallBroken, NodeGone, NodeLeft, Peers, TooManyCalls
from imagestore_sim.cluster.bus import Content
from imagestore_sim.rest.binding import Values
from imagestore_sim.rest.dispatch import Dispatcher
from imagestore_sim.rest.faulted_job import FaultedJob
from imagestore_sim.rest.identity import Claim
from imagestore_sim.rest.job_store import FailedJob
from imagestore_sim.rest.job_web_hooks import JobWebHook, JobWebHooks
from imagestore_sim.rest.jobs import Jobs, OnEnd
from imagestore_sim.rest.messages import Declared, Handlers, Message, Reply, made
from imagestore_sim.rest.wire import read_claim, write_claim

logger = logging.getLogger(__name__)
S = TypeVar("S")
SERVICE = "job"
TAKEN_SECONDS = 60.0
"""How long the node of a job may take until it has begun with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """A call to be carried out as a job. `faulted` is what faults do to it, `hook` where its result is posted."""

    uuid: str
    message: type[Message]
    values: Values
    claim: Claim
    hook: JobWebHook | None = None
    faulted: FaultedJob | None = None


class JobStarter(Generic[S]):
    """Starts jobs, each on the node that the ring gives it to. A job that has met faults stays where they are set."""

    def __init__(
        self,
        handlers: Handlers[S],
        dispatcher: Dispatcher[S],
        jobs: Jobs,
        web_hooks: JobWebHooks,
        peers: Peers,
        bus: Bus,
    ) -> None:
        self._handlers = handlers
        self._dispatcher = dispatcher
        self._jobs = jobs
        self._web_hooks = web_hooks
        self._peers = peers
        self._bus = bus
        bus.serve(SERVICE, self._take)
        jobs.store.on_failed = self._post_failure

    async def start(self, order: JobOrder) -> int:
        """Store the job of a call and have it carried out; return when it began, in epoch seconds.

        Raise StoreUnavailable, and PlainError 400 for a uuid that has been used (wire-protocol 5.5).
        """
        node = self._peers.uuid if order.faulted is not None else self._peers.owner_of(order.uuid)
        uuid, name, work, on_end = order.uuid, order.message.__name__, partial(self._work, order), self._on_end(order)
        waits, web_hook = self._waits(order), None if order.hook is None else order.hook.url
        if node == self._peers.uuid:
            return await self._jobs.start(
                uuid, name, work, on_end, waits=waits, web_hook=web_hook, faulted=order.faulted
            )
        give = partial(self._send, order, node)
        return await self._jobs.hand_over(
            uuid, name, work, on_end, waits=waits, web_hook=web_hook, node=node, give=give
        )

    async def _work(self, order: JobOrder) -> Reply:
        return await self._dispatcher.carry_out(order.message, order.values, order.uuid, order.claim)

    def _waits(self, order: JobOrder) -> bool:
        """Return whether the handler writes in more than one transaction, or another node runs it."""
        return order.message.waits or (bool(order.message.owned_by) and not self._peers.is_alone)

    def _on_end(self, order: JobOrder) -> OnEnd | None:
        return None if order.hook is None else partial(self._web_hooks.deliver, order.hook)

    def _post_failure(self, job: FailedJob) -> None:
        """Post the end of a job whose node has not come to it."""
        if (declared := self._by_name.get(job.message)) is None:
            logger.warning("the end of job %s is not posted: there is no %s here", job.uuid, job.message)
            return
        self._web_hooks.deliver(JobWebHook(job.web_hook, job.uuid, made(declared).api, with_schema=False), job.result)

    async def _send(self, order: JobOrder, node: str) -> str | None:
        """Have a node take a job; return why it cannot, None once it has taken it. Raise NodeLeft if that leaves."""
        hook = order.hook
        content = {
            "uuid": order.uuid,
            "giver": self._peers.uuid,
            "message": order.message.__name__,
            "values": order.values,
            "claim": write_claim(order.claim),
            "hook": None if hook is None else {"url": hook.url, "withSchema": hook.with_schema},
        }
        try:
            await self._bus.call(node, SERVICE, content, seconds=TAKEN_SECONDS)
        except NodeLeft:
            raise
        except (NodeGone, CallBroken, TooManyCalls) as error:
            return str(error)
        return None

    @cached_property
    def _by_name(self) -> Mapping[str, Declared]:
        return self._handlers.by_name()

    async def _take(self, content: Content) -> Content:
        """Begin with a job that another node has stored for this one."""
        order = self._read(content)
        await self._jobs.take(
            order.uuid,
            order.message.__name__,
            content["giver"],
            partial(self._work, order),
            self._on_end(order),
            waits=self._waits(order),
        )
        return {}

    def _read(self, content: Mapping[str, Any]) -> JobOrder:
        message, hook = made(self._by_name[content["message"]]), content["hook"]
        return JobOrder(
            uuid=content["uuid"],
            message=message,
            values=content["values"],
            claim=read_claim(content["claim"]),
            hook=None if hook is None else JobWebHook(hook["url"], content["uuid"], message.api, hook["withSchema"]),
        )
