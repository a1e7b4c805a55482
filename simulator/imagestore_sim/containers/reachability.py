"""Whether this machine reaches containers at their own addresses."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any

import aiodocker

from imagestore_sim.containers.errors import EngineProblem
from imagestore_sim.containers.labels import OWNER, PROJECT
from imagestore_sim.containers.ownership import Owner
from imagestore_sim.ids import new_uuid


async def check_reachability(docker: aiodocker.Docker) -> None:
    """Raise EngineProblem unless the bridge of a network is one of this machine's interfaces.

    The networks that exist may not show that: a newly installed engine has only its own, which it describes without a
    gateway, and a bridge without containers may be down. So a network is made for the question where they do not.
    """
    for network in await docker.networks.list(filters={"driver": "bridge"}):
        if any(_is_local(gateway) for _, gateway in address_pools(network)):
            return
    if await _reaches_a_new_network(docker):
        return
    raise EngineProblem(
        "--hosts compose reaches containers at their own addresses, and this engine's are not reachable from here: "
        "it runs in a virtual machine (as Docker Desktop's does), rootless, or elsewhere; use Linux's own engine, "
        "or --hosts embedded"
    )


async def _reaches_a_new_network(docker: aiodocker.Docker) -> bool:
    """Return whether the bridge of a network made now is an interface of this machine, and remove it."""
    labels = {PROJECT: f"imagestore-sim-{new_uuid()[:8]}", OWNER: str(Owner.of_this_process())}
    made = await docker.networks.create({"Name": f"{labels[PROJECT]}_trial", "Driver": "bridge", "Labels": labels})
    try:
        return any(_is_local(gateway) for _, gateway in address_pools(await made.show()))
    finally:
        await made.delete()


def address_pools(network: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the IPv4 subnets of a network with their gateways.

    Where the engine describes no gateway, it takes the first address: the default that its documentation of
    `docker network create --gateway` gives.
    """
    for pool in (network.get("IPAM") or {}).get("Config") or ():
        subnet = pool.get("Subnet", "")
        if not subnet or ip_network(subnet, strict=False).version != 4:
            continue
        gateway = str(pool.get("Gateway") or "").partition("/")[0]
        yield subnet, gateway or str(next(ip_network(subnet, strict=False).hosts()))


def _is_local(address: str) -> bool:
    """Return whether an interface of this machine has the IPv4 address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            return False
    return True
