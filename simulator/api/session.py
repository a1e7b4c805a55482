"""Logging in and out (wire-protocol 2.4, 2.6)."""

from __future__ import annotations

from simulator.api.services import Services
from simulator.rest.authentication import LoggedIn
from simulator.rest.encoding import write_date
from simulator.rest.messages import Call, Handlers, Reply, SyncMessage

PACKAGE = "org.zstack.header.identity"
INVENTORY_CLASS = f"{PACKAGE}.SessionInventory"
handlers = Handlers[Services]()


class APILogInByAccountMsg(
    SyncMessage,
    method="PUT",
    path="/accounts/login",
    package=PACKAGE,
    authenticated=False,
    reply=("inventory",),
):
    """Log in; the client sends the SHA-512 of the password in hex."""

    accountName: str
    password: str
    accountType: str | None = None
    captchaUuid: str | None = None
    verifyCode: str | None = None
    clientInfo: dict[str, str] | None = None


@handlers.handles
async def log_in_by_account(services: Services, message: APILogInByAccountMsg, call: Call) -> Reply:
    """The new session."""
    session = await services.sessions.log_in_by_account(message.accountName, message.password)
    return Reply({"inventory": _inventory(services, session)}, {"inventory": INVENTORY_CLASS})


class APILogOutMsg(
    SyncMessage,
    method="DELETE",
    path="/accounts/sessions/{sessionUuid}",
    package=PACKAGE,
    authenticated=False,
):
    """End a session, if it is there."""

    sessionUuid: str


@handlers.handles
async def log_out(services: Services, message: APILogOutMsg, call: Call) -> Reply:
    """Nothing."""
    await services.sessions.log_out(message.sessionUuid)
    return Reply()


class APIValidateSessionMsg(
    SyncMessage,
    method="GET",
    path="/accounts/sessions/{sessionUuid}/valid",
    package=PACKAGE,
    authenticated=False,
    reply=("valid",),
):
    """Ask whether a session is valid, without extending it."""

    sessionUuid: str


@handlers.handles
async def validate_session(services: Services, message: APIValidateSessionMsg, call: Call) -> Reply:
    """`{"valid": true}` or `{"valid": false}`."""
    return Reply({"valid": services.sessions.is_valid(message.sessionUuid)})


def _inventory(services: Services, session: LoggedIn) -> dict[str, object]:
    return {
        "uuid": session.uuid,
        "accountUuid": session.account_uuid,
        "userUuid": session.user_uuid,
        "expiredDate": write_date(services.clock.local(session.expired_date)),
        "createDate": write_date(services.clock.local(session.create_date)),
        "noSessionEvaluation": False,
    }
