"""Faults between a client and a host: of connections, and of the bytes on them."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from imagestore_sim.faults.base import CuttingFault, Effect, Fault, Layer, Noticed, ProbeAnswer
from imagestore_sim.faults.behaviour import Behaviour, PortState
from imagestore_sim.faults.registry import fault
from imagestore_sim.faults.target import FaultTarget, Undo
from imagestore_sim.reasons import Reason
from imagestore_sim.units import Bytes, Count, Seconds


@fault(
    Layer.NETWORK,
    heals="Packets pass again; what TCP has kept meanwhile is delivered.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT],
    stands_for=[Reason.TIMEOUT],
)
class Blackhole(Fault):
    """A firewall drops every packet: connecting gets no answer, and open connections fall silent."""

    @override
    def change(self, now: Behaviour) -> None:
        now.port, now.silent = PortState.DEAF, True


@fault(
    Layer.NETWORK,
    heals="There is a route again; what TCP has kept meanwhile is delivered.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.UNREACHABLE],
    stands_for=[Reason.DNS, Reason.UNREACHABLE],
)
class Unreachable(Fault):
    """There is no route to the host: connecting fails at once with that error, and open connections fall silent.

    The error comes where a node asks a lab for the address; other clients get no answer at all.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.port, now.silent, now.unreachable = PortState.DEAF, True, True


@fault(
    Layer.NETWORK,
    heals="The host continues where it stopped: clients that still wait get their answers.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT],
)
class HalfOpen(Fault):
    """Connections are accepted, but nothing is sent over them, nor over those that are open.

    So does a host that is frozen or out of memory: its kernel still answers, its sshd does not.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.silent = True


@fault(
    Layer.NETWORK,
    heals="The port is open again; connections that were cut stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.REFUSED],
    stands_for=[Reason.REFUSED],
)
class Refuse(CuttingFault):
    """No program listens on the port: sshd has stopped, or the host restarts."""

    @override
    def change(self, now: Behaviour) -> None:
        now.port = PortState.REFUSING


@fault(
    Layer.NETWORK,
    heals="Connections are served again; those that were reset stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
    stands_for=[Reason.RESET],
)
class ResetOnConnect(Fault):
    """Every connection is reset as soon as it is made, before sshd's banner, and those that are open at once."""

    @override
    def change(self, now: Behaviour) -> None:
        now.reset_on_connect = True

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        target.cut_connections()
        return None


@fault(
    Layer.NETWORK,
    heals="Connections live on; those that were reset stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
)
class ResetAfter(Fault):
    """A connection is reset once the host has sent a number of bytes over it, counted from its beginning.

    A login takes about 2,000.
    """

    size: Bytes = Field(1024, description="bytes that get through before the reset")

    @override
    def change(self, now: Behaviour) -> None:
        now.reset_after = self.size


@fault(
    Layer.NETWORK,
    heals="Connections live on; those that were cut stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
)
class CutMidProbe(Fault):
    """A connection is cut in the middle of a probe: a login succeeds, but the first request after it gets a reset.

    So does the next request over a connection that is open.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.cut_on_request = True


@fault(
    Layer.NETWORK,
    heals="Packets are prompt again; those under way arrive when they were due.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT, Reason.HUNG],
)
class Latency(Fault):
    """Everything arrives late, in each direction, on open connections too. Several such faults add up."""

    delay: Seconds = Field(0.1, description="how much later everything arrives")
    jitter: Seconds = Field(0.0, description="how much that varies at random, up and down, by the seed of the host")

    @override
    def change(self, now: Behaviour) -> None:
        now.latency += self.delay
        now.jitter += self.jitter


@fault(
    Layer.NETWORK,
    heals="The line is fast again; what is under way arrives when it was due.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT, Reason.HUNG],
)
class Rate(Fault):
    """The line is slow in each direction. Of several such faults the slowest counts."""

    rate: Bytes = Field(1024, ge=1, description="bytes a second", json_schema_extra={"minimum": 1, "x-unit": "bytes/s"})

    @override
    def change(self, now: Behaviour) -> None:
        now.rate = min(self.rate, now.rate or self.rate)


@fault(
    Layer.NETWORK,
    heals="sshd has its port back; connections that were cut stay lost.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NOT_SSH],
    stands_for=[Reason.NOT_SSH],
)
class NotSsh(Fault):
    """Another program has the port: it sends a text and closes. Open connections are cut."""

    says: str = Field("HTTP/1.1 400 Bad Request\r\n\r\n", description="the text that it sends")

    @override
    def change(self, now: Behaviour) -> None:
        now.greeting = self.says.encode()

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        target.cut_connections()
        return None


@fault(
    Layer.NETWORK,
    heals="Nothing changes: those connections stay silent until their clients close them.",
    effect=Effect.INSTANT,
    answer=ProbeAnswer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class Stale(Fault):
    """Connections that are open fall silent for good; new ones are served.

    So it is after a host was power-cycled, or when a firewall has lost its table of connections.
    """

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        target.silence_connections()
        return None


@fault(
    Layer.NETWORK,
    heals="Nothing changes: it was over as soon as it had happened.",
    effect=Effect.INSTANT,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class Cut(Fault):
    """Connections that are open are reset once, as by a stateful firewall that restarts; new ones are served."""

    count: Count | None = Field(None, description="how many connections, the oldest first; all if unset", examples=[1])

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        target.cut_connections(self.count)
        return None
