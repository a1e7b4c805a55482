"""The faults of the agent: containers have none."""

from __future__ import annotations

from imagestore_sim.containers.faults.base import refuse
from imagestore_sim.faults import agent

for kind in (agent.AgentDown, agent.AgentRestarted, agent.CertificateExpired, agent.RegistryLost):
    refuse(kind, "the image of the hosts has no agent, which ImageStore's owner does not publish")
