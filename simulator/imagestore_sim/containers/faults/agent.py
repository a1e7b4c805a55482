"""Implementations of the faults of the agent, by its init script and its certificates (`images/host/agent`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagestore_sim.containers.faults.base import Undo, implement
from imagestore_sim.containers.faults.disk import displace
from imagestore_sim.containers.faults.state_files import STATE, add_state, run
from imagestore_sim.faults import agent

if TYPE_CHECKING:
    from imagestore_sim.containers.host import ContainerHost

SERVICE = "/etc/init.d/zstack-imagestorebackupstorage"
DOWN = "agent_down"
"""The group of state files that keep the service from starting."""
LOST = "registry_lost"
"""The group of state files that the agent itself reads."""
VALID_DAYS = 3650


@implement(agent.AgentDown, means="its service is stopped, and cannot be started")
async def _agent_down(_fault: agent.AgentDown, host: ContainerHost) -> Undo:
    return await add_state(host, DOWN, "", f'if [ -n "$(ls)" ]; then {SERVICE} stop; else {SERVICE} start; fi')


@implement(agent.AgentRestarted, means="its service is restarted")
async def _agent_restarted(_fault: agent.AgentRestarted, host: ContainerHost) -> None:
    await run(host, f'[ -n "$(ls {STATE}/{DOWN} 2>/dev/null)" ] || {SERVICE} restart')


@implement(
    agent.CertificateExpired,
    means="the lab's authority issues one that has expired, and the agent reads it; healed, another one that has not",
)
async def _certificate_expired(_fault: agent.CertificateExpired, host: ContainerHost) -> Undo:
    update = f"""
    if [ -n "$(ls)" ]; then days=-1; else days={VALID_DAYS}; fi
    /usr/local/sbin/certificates issue $days
    {SERVICE} reload
    """
    return await add_state(host, "certificate_expired", "", update)


@implement(
    agent.RegistryLost,
    means="the folder is moved, and a file tells the agent, which then answers with status 500",
    lost_at_stop=True,
)
async def _registry_lost(fault: agent.RegistryLost, host: ContainerHost) -> Undo:
    path = f"{fault.path.rstrip('/')}/{agent.REGISTRY}"
    put_back = await displace(host, path, "true")
    found = await add_state(host, LOST, path, "")

    async def heal() -> None:
        await put_back()
        await found()

    return heal
