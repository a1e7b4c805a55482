"""Faults of the agent of a host, which SSH does not show: pings meet them where `ping.mode` is `agent`."""

from __future__ import annotations

from typing_extensions import override

from imagestore_sim.faults.base import Effect, Fault, Layer, Noticed, ProbeAnswer
from imagestore_sim.faults.behaviour import Behaviour, PortState
from imagestore_sim.faults.disk import PathFault
from imagestore_sim.faults.registry import fault
from imagestore_sim.faults.target import FaultTarget, Undo
from imagestore_sim.reasons import Reason

REGISTRY = "registry"
"""The folder of an ImageStore that holds its images."""


@fault(
    Layer.AGENT,
    heals="The agent listens again, as one that was restarted.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.AGENT_DOWN, Reason.AGENT_RESTARTED],
    stands_for=[Reason.AGENT_DOWN],
)
class AgentDown(Fault):
    """The agent has stopped: its port refuses, and `ps` does not show it. SSH is not affected."""

    @override
    def change(self, now: Behaviour) -> None:
        now.agent = PortState.REFUSING

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.restart_agent


@fault(
    Layer.AGENT,
    heals="Nothing changes: only a connect makes the agent known again.",
    effect=Effect.INSTANT,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.AGENT_RESTARTED],
    stands_for=[Reason.AGENT_RESTARTED],
)
class AgentRestarted(Fault):
    """The agent is restarted by hand: it answers, but no longer as the one that the node has connected."""

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        target.restart_agent()
        return None


@fault(
    Layer.AGENT,
    heals="The agent has its former certificate, which is valid.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.CERTIFICATE_EXPIRED],
    stands_for=[Reason.CERTIFICATE_EXPIRED],
)
class CertificateExpired(Fault):
    """The certificate of the agent has expired; it is of the same authority."""

    @override
    def change(self, now: Behaviour) -> None:
        now.certificate_expired = True


@fault(
    Layer.AGENT,
    heals="The folder is back, with everything in it, in place of what was made meanwhile.",
    effect=Effect.LASTING,
    answer=ProbeAnswer.PROMPT,
    noticed=Noticed.AT_ONCE,
    causes=[Reason.REGISTRY_LOST],
    stands_for=[Reason.REGISTRY_LOST],
)
class RegistryLost(PathFault):
    """The folder `registry` in the url of a storage was moved away: the agent answers only with an error.

    An SSH probe finds the url and its capacity, and the folder `export`.
    """

    @override
    def change(self, now: Behaviour) -> None:
        now.registry_lost = True

    @override
    def begin(self, target: FaultTarget) -> Undo | None:
        return target.displace(f"{self.path.rstrip('/')}/{REGISTRY}", by_file=False)
