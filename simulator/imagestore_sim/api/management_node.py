"""APIs of the management node itself, most of them without a session (wire-protocol 8)."""

from __future__ import annotations

import platform
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from imagestore_sim.api.catalogue import catalogue
from imagestore_sim.api.queries import QueryMessage, answer
from imagestore_sim.api.services import Services
from imagestore_sim.query import MANAGEMENT_NODE
from imagestore_sim.rest.errors import ApiError, ErrorCode
from imagestore_sim.rest.messages import Call, Handlers, Reply, SyncMessage

PACKAGE = "org.zstack.header.managementnode"
ACTIONS = "/management-nodes/actions"
handlers = Handlers[Services]()


class CurrentTime(TypedDict):
    """A time."""

    MillionSeconds: int
    """Milliseconds since the epoch; the spelling is ZStack's."""
    Seconds: int
    """Seconds since the epoch."""


class APIGetVersionMsg(
    SyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    authenticated=False,
    reply={"version": str},
    with_success=True,
):
    """Get the version of ZStack that is emulated."""


@handlers.handles
async def get_version(services: Services, message: APIGetVersionMsg, call: Call) -> Reply:
    """Return `{"version": "5.2.1", "success": true}`, or another version that the node answers as."""
    return Reply({"version": services.version.number})


class APIGetCurrentTimeMsg(
    SyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    authenticated=False,
    reply={"currentTime": CurrentTime},
    with_success=True,
):
    """Get the node's time."""


@handlers.handles
async def get_current_time(services: Services, message: APIGetCurrentTimeMsg, call: Call) -> Reply:
    """Return the time in epoch seconds and milliseconds; `MillionSeconds` is ZStack's spelling of the latter."""
    now = services.clock.time()
    return Reply({"currentTime": {"MillionSeconds": int(now * 1000), "Seconds": int(now)}})


class APIGetManagementNodeArchMsg(
    SyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    authenticated=False,
    reply={"architecture": str},
    with_success=True,
):
    """Get the node's processor architecture."""


@handlers.handles
async def get_architecture(services: Services, message: APIGetManagementNodeArchMsg, call: Call) -> Reply:
    """Return the architecture, such as `x86_64`."""
    return Reply({"architecture": platform.machine()})


class APIGetSupportAPIsMsg(
    SyncMessage,
    method="PUT",
    path=ACTIONS,
    package=PACKAGE,
    authenticated=False,
    reply={"supportApis": list[str]},
    with_success=True,
):
    """List the APIs."""


@handlers.handles
async def get_support_apis(services: Services, message: APIGetSupportAPIsMsg, call: Call) -> Reply:
    """Return the names of all messages, sorted; on a strict node those of ZStack's open half, in its order."""
    if not services.leniency.paid_apis:
        return Reply({"supportApis": catalogue()["supported"]})
    from imagestore_sim.api import handlers_of

    return Reply({"supportApis": sorted(handlers_of(services.version).names())})


class APIGetManagementNodeOSMsg(
    SyncMessage,
    method="PUT",
    path="/management/actions",
    package=PACKAGE,
    authenticated=False,
    reply={"name": str, "version": str},
    with_success=True,
):
    """Get the node's operating system. Its path differs from the others in ZStack, too."""


@handlers.handles
async def get_operating_system(services: Services, message: APIGetManagementNodeOSMsg, call: Call) -> Reply:
    """Return the name, and the version of the kernel."""
    return Reply({"name": platform.system(), "version": platform.release()})


class APIIsReadyToGoMsg(
    SyncMessage,
    method="GET",
    path="/management-nodes/ready",
    package="org.zstack.header.apimediator",
    authenticated=False,
):
    """Ask whether a node serves all APIs: the given one, or this one."""

    managementNodeId: str | None = None
    """The uuid of the node; by default the node that is asked."""


@handlers.handles
async def is_ready_to_go(services: Services, message: APIIsReadyToGoMsg, call: Call) -> Reply:
    """Return an empty reply. Raise ApiError SYS.1012 for an unknown node, SYS.1010 for one that is not ready."""
    uuid = message.managementNodeId or services.node.uuid
    ready = await services.node.is_running(uuid)
    if ready is None:
        raise ApiError(ErrorCode("SYS.1012", f"management node[uuid:{uuid}] is unavailable"))
    if not ready:
        raise ApiError(ErrorCode("SYS.1010", f"management node[uuid:{uuid}] is not ready yet"))
    return Reply()


class APIGetPlatformTimeZoneMsg(
    SyncMessage,
    method="GET",
    path="/management-nodes/platform-timezone",
    package=PACKAGE,
    for_everyone=True,
    reply={"timezone": str, "offset": str},
    with_success=True,
):
    """Get the time zone of the node's dates."""


@handlers.handles
async def get_platform_time_zone(services: Services, message: APIGetPlatformTimeZoneMsg, call: Call) -> Reply:
    """Return the zone's name and offset, as Java writes them."""
    now = services.clock.time()
    ahead = services.clock.local(now) - datetime.fromtimestamp(int(now), UTC).replace(tzinfo=None)
    offset = _java_offset(ahead)
    return Reply({"timezone": "UTC" if offset == "Z" else f"GMT{offset}", "offset": offset})


class APIQueryManagementNodeMsg(
    QueryMessage,
    method="GET",
    path="/management-nodes",
    optional_paths=("/management-nodes/{uuid}",),
    package=PACKAGE,
    for_everyone=False,
):
    """Query management nodes: this one, and those that share its store."""

    inventory = MANAGEMENT_NODE
    cacheable = False  # the heartbeat changes with time


@handlers.handles
async def query_management_node(services: Services, message: APIQueryManagementNodeMsg, call: Call) -> Reply:
    """Return the nodes that the query selects; the only one of a store updates its heartbeat first."""
    await services.node.beat()
    return await answer(services, message, call)


class APIIsOpensourceVersionMsg(
    SyncMessage,
    method="GET",
    path="/meta-data/opensource",
    package="org.zstack.header",
    authenticated=False,
    reply={"opensource": bool},
    with_success=True,
):
    """Ask whether this is the open source edition."""


@handlers.handles
async def is_opensource_version(services: Services, message: APIIsOpensourceVersionMsg, call: Call) -> Reply:
    """Return `{"opensource": true, "success": true}`."""
    return Reply({"opensource": True})


def _java_offset(ahead: timedelta) -> str:
    """Return an offset as `+08:00`; `Z` for none."""
    minutes = round(ahead / timedelta(minutes=1))
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}" if minutes else "Z"
