"""What a management node says of itself, without a session (wire-protocol 8)."""

from __future__ import annotations

from simulator.api.services import Services
from simulator.rest.messages import Call, Handlers, Reply, SyncMessage

PACKAGE = "org.zstack.header.managementnode"
PATH = "/management-nodes/actions"
EMULATED_VERSION = "5.2.1"
handlers = Handlers[Services]()


class APIGetVersionMsg(
    SyncMessage,
    method="PUT",
    path=PATH,
    package=PACKAGE,
    authenticated=False,
    reply=("version",),
    says_success=True,
):
    """Ask for the version of ZStack that is emulated."""


@handlers.handles
async def get_version(services: Services, message: APIGetVersionMsg, call: Call) -> Reply:
    """`{"version": "5.2.1", "success": true}`."""
    return Reply({"version": EMULATED_VERSION})


class APIGetCurrentTimeMsg(
    SyncMessage,
    method="PUT",
    path=PATH,
    package=PACKAGE,
    authenticated=False,
    reply=("currentTime",),
    says_success=True,
):
    """Ask for the node's time."""


@handlers.handles
async def get_current_time(services: Services, message: APIGetCurrentTimeMsg, call: Call) -> Reply:
    """The time in seconds and in milliseconds, the latter under ZStack's own spelling."""
    now = services.clock.time()
    return Reply({"currentTime": {"MillionSeconds": int(now * 1000), "Seconds": int(now)}})
