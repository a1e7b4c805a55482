"""Faults between a client and a host: what becomes of connections and of the bytes on them."""

from __future__ import annotations

from pydantic import Field

from imagestore_sim.faults.base import Answer, CuttingFault, Effect, Fault, Layer, Noticed
from imagestore_sim.faults.behaviour import Behaviour, PortState
from imagestore_sim.faults.registry import fault
from imagestore_sim.faults.target import FaultTarget, Undo
from imagestore_sim.reasons import Reason
from imagestore_sim.units import Bytes, Count, Seconds


@fault(
    Layer.NETWORK,
    heals="Packets pass again; what was on its way is delivered, as TCP does.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT],
    stands_for=[Reason.TIMEOUT],
)
class Blackhole(Fault):
    """A firewall drops every packet: connecting is never answered, and open connections fall silent."""

    def change(self, now: Behaviour) -> None:
        now.port, now.silent = PortState.DEAF, True


@fault(
    Layer.NETWORK,
    heals="There is a route again; what was on its way is delivered, as TCP does.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_LOGIN,
    causes=[Reason.UNREACHABLE],
    stands_for=[Reason.DNS, Reason.UNREACHABLE],
)
class Unreachable(Fault):
    """There is no route to the host: a router says so to whoever connects (where a node asks a lab for the address;
    other clients are not answered at all), and open connections fall silent."""

    def change(self, now: Behaviour) -> None:
        now.port, now.silent, now.unreachable = PortState.DEAF, True, True


@fault(
    Layer.NETWORK,
    heals="The host goes on where it stood: clients that are still there get their answers.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT],
)
class HalfOpen(Fault):
    """Connections are accepted and nothing is ever said on them, nor on those that are open, as by a host that is
    frozen or out of memory: its kernel still answers, its sshd does not."""

    def change(self, now: Behaviour) -> None:
        now.silent = True


@fault(
    Layer.NETWORK,
    heals="The port is open again; connections that were cut stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.REFUSED],
    stands_for=[Reason.REFUSED],
)
class Refuse(CuttingFault):
    """Nobody listens on the port: the host is down, or sshd stopped."""

    def change(self, now: Behaviour) -> None:
        now.port = PortState.REFUSING


@fault(
    Layer.NETWORK,
    heals="Connections are served again; those that were reset stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
    stands_for=[Reason.RESET],
)
class ResetOnConnect(Fault):
    """Every connection is reset as soon as it is made, before sshd's banner, and those that are open at once."""

    def change(self, now: Behaviour) -> None:
        now.reset_on_connect = True

    def begin(self, target: FaultTarget) -> Undo | None:
        target.cut_connections()
        return None


@fault(
    Layer.NETWORK,
    heals="Connections live on; those that were reset stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
)
class ResetAfter(Fault):
    """A connection is reset once the host has sent so many bytes over it, counted from its beginning: a login takes
    about 2,000."""

    size: Bytes = Field(1024, description="bytes that still get through")

    def change(self, now: Behaviour) -> None:
        now.reset_after = self.size


@fault(
    Layer.NETWORK,
    heals="Nothing is cut any more; connections that were stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.RESET],
)
class CutMidProbe(Fault):
    """A connection is cut in the middle of a probe: logging in succeeds, the first question after it resets the
    connection, on one that is open too."""

    def change(self, now: Behaviour) -> None:
        now.cut_on_request = True


@fault(
    Layer.NETWORK,
    heals="All is prompt again; what is under way arrives when it was due.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT, Reason.HUNG],
)
class Latency(Fault):
    """Everything is late, in each direction, on connections that are open too. Several add up."""

    delay: Seconds = Field(0.1, description="by how much")
    jitter: Seconds = Field(0.0, description="by how much more or less at random, following the seed of the host")

    def change(self, now: Behaviour) -> None:
        now.latency += self.delay
        now.jitter += self.jitter


@fault(
    Layer.NETWORK,
    heals="The line is fast again; what is under way arrives when it was due.",
    effect=Effect.LASTING,
    answer=Answer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.TIMEOUT, Reason.HUNG],
)
class Rate(Fault):
    """The line is slow in each direction; of several the slowest counts."""

    rate: Bytes = Field(1024, ge=1, description="bytes a second")

    def change(self, now: Behaviour) -> None:
        now.rate = min(self.rate, now.rate or self.rate)


@fault(
    Layer.NETWORK,
    heals="sshd has its port back; connections that were cut stay lost.",
    effect=Effect.LASTING,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.NOT_SSH],
    stands_for=[Reason.NOT_SSH],
)
class NotSsh(Fault):
    """Something else has the port: it says a few words and closes, and connections that are open are cut."""

    says: str = Field("HTTP/1.1 400 Bad Request\r\n\r\n", description="its words")

    def change(self, now: Behaviour) -> None:
        now.greeting = self.says.encode()

    def begin(self, target: FaultTarget) -> Undo | None:
        target.cut_connections()
        return None


@fault(
    Layer.NETWORK,
    heals="Nothing: those connections stay silent until their clients give them up.",
    effect=Effect.INSTANT,
    answer=Answer.SILENT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class Stale(Fault):
    """Connections that are open fall silent for good, as when the host was rebooted by its power switch, or a firewall
    forgot them; new ones are served."""

    def begin(self, target: FaultTarget) -> Undo | None:
        target.silence_connections()
        return None


@fault(
    Layer.NETWORK,
    heals="Nothing: it is over as soon as it has happened.",
    effect=Effect.INSTANT,
    answer=Answer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=(),
)
class Cut(Fault):
    """Connections that are open are reset once, as when a stateful firewall restarts; new ones are served."""

    count: Count | None = Field(None, description="how many, the oldest first; all if unset")

    def begin(self, target: FaultTarget) -> Undo | None:
        target.cut_connections(self.count)
        return None
