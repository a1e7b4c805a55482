"""APIs of sessions: log in, log out, renew, validate (wire-protocol 2.4-2.6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypedDict

from imagestore_sim.api.services import Services
from imagestore_sim.rest.errors import invalid_argument, operation_failed
from imagestore_sim.rest.messages import AsyncMessage, Call, Handlers, Reply, SyncMessage
from imagestore_sim.rest.parameters import Rule
from imagestore_sim.rest.sessions import LoggedIn
from imagestore_sim.units import write_date

PACKAGE = "org.zstack.header.identity"
LOGIN_PACKAGE = f"{PACKAGE}.login"
INVENTORY_CLASS = f"{PACKAGE}.SessionInventory"
ACCOUNT_LOGIN = "account"
LONGEST_RENEWAL = 31_536_000
handlers = Handlers[Services]()


class Session(TypedDict):
    """A session."""

    uuid: str
    """What later calls carry as `Authorization: OAuth <uuid>`. Secret."""
    accountUuid: str
    """The uuid of the account that has logged in."""
    userUuid: str
    """The uuid of the user that has logged in; of the account where no user has."""
    expiredDate: str
    """When the session ends, unless a call extends it."""
    createDate: str
    """When it began."""
    noSessionEvaluation: bool
    """Always false."""


class APILogInByAccountMsg(
    SyncMessage,
    method="PUT",
    path="/accounts/login",
    package=PACKAGE,
    authenticated=False,
    response_class="APILogInReply",
    reply={"inventory": Session},
):
    """Log in as an account. `password` is its SHA-512 in hex."""

    begins_session = True

    accountName: str
    """The name of the account."""
    password: str
    """The SHA-512 of the password, in hex."""
    accountType: str | None = None
    """`account`; every other type fails."""
    captchaUuid: str | None = None
    """Ignored: no login needs a captcha."""
    verifyCode: str | None = None
    """Ignored: no login needs a captcha."""
    clientInfo: dict[str, str] | None = None
    """Ignored."""


@handlers.handles
async def log_in_by_account(services: Services, message: APILogInByAccountMsg, call: Call) -> Reply:
    """Begin a session, and return it."""
    known_type = message.accountType in (None, ACCOUNT_LOGIN)  # plug-ins of ZStack bring other types
    session = await services.sessions.log_in_by_account(message.accountName, message.password, known_type=known_type)
    return _reply(services, session)


class APILogInByUserMsg(
    SyncMessage,
    method="PUT",
    path="/accounts/users/login",
    package=PACKAGE,
    authenticated=False,
    response_class="APILogInReply",
    reply={"inventory": Session},
):
    """Log in as a user of an account, given by its uuid or its name."""

    begins_session = True

    accountUuid: str | None = None
    """The uuid of the account; needed unless its name is given."""
    accountName: str | None = None
    """The name of the account."""
    userName: str
    """The name of the user."""
    password: str
    """The SHA-512 of the password, in hex."""
    clientInfo: dict[str, str] | None = None
    """Ignored."""


@handlers.checks
async def check_log_in_by_user(services: Services, message: APILogInByUserMsg, call: Call) -> None:
    """Raise ApiError SYS.1007 if no account is given."""
    if message.accountName is None and message.accountUuid is None:
        raise invalid_argument("accountName and accountUuid cannot both be null, you must specify at least one")


@handlers.handles
async def log_in_by_user(services: Services, message: APILogInByUserMsg, call: Call) -> Reply:
    """Begin a session, and return it."""
    session = await services.sessions.log_in_by_user(
        message.userName, message.password, account_uuid=message.accountUuid, account_name=message.accountName
    )
    return _reply(services, session)


class APILogInMsg(
    SyncMessage, method="PUT", path="/login", package=LOGIN_PACKAGE, authenticated=False, reply={"inventory": Session}
):
    """Log in by a login type; only `account` is emulated."""

    username: str
    """The name of the account."""
    password: str
    """The SHA-512 of the password, in hex."""
    loginType: str
    """`account`; every other type fails."""
    captchaUuid: str | None = None
    """Ignored: no login needs a captcha."""
    verifyCode: str | None = None
    """Ignored: no login needs a captcha."""
    clientInfo: dict[str, str] | None = None
    """Ignored."""
    properties: dict[str, str] | None = None
    """Ignored."""


@handlers.handles
async def log_in(services: Services, message: APILogInMsg, call: Call) -> Reply:
    """Begin a session, and return it."""
    _require_known(message.loginType)
    return _reply(services, await services.sessions.log_in_by_account(message.username, message.password))


class APIGetLoginProceduresMsg(
    SyncMessage,
    method="GET",
    path="/login/procedures",
    package=LOGIN_PACKAGE,
    authenticated=False,
    reply={"procedures": list[str]},
):
    """List what a login needs besides the password."""

    username: str
    """The name of the account. It is not looked up."""
    loginType: str
    """`account`; every other type fails."""


@handlers.handles
async def get_login_procedures(services: Services, message: APIGetLoginProceduresMsg, call: Call) -> Reply:
    """Return an empty list."""
    _require_known(message.loginType)
    return Reply({"procedures": []})


class APIRenewSessionMsg(
    AsyncMessage,
    method="PUT",
    path="/accounts/sessions/{sessionUuid}/renew",
    package=PACKAGE,
    for_everyone=True,
    reply={"inventory": Session},
):
    """Extend a session, by `duration` seconds from now, until its next call."""

    sessionUuid: Annotated[str, Rule(resource="SessionVO")]
    duration: Annotated[int | None, Rule(long=True, number_range=(60, LONGEST_RENEWAL))] = None
    """Seconds; by default as long as a new session lasts."""


@handlers.handles
async def renew_session(services: Services, message: APIRenewSessionMsg, call: Call) -> Reply:
    """Extend the session, and return it."""
    reply = _reply(services, await services.sessions.renew(message.sessionUuid, message.duration))
    return replace(reply, secret=True)


class APILogOutMsg(
    SyncMessage,
    method="DELETE",
    path="/accounts/sessions/{sessionUuid}",
    package=PACKAGE,
    authenticated=False,
):
    """End a session, if it exists."""

    sessionUuid: str
    """The uuid of the session."""


@handlers.handles
async def log_out(services: Services, message: APILogOutMsg, call: Call) -> Reply:
    """End the session, and return an empty reply."""
    await services.sessions.log_out(message.sessionUuid)
    return Reply()


class APIValidateSessionMsg(
    SyncMessage,
    method="GET",
    path="/accounts/sessions/{sessionUuid}/valid",
    package=PACKAGE,
    authenticated=False,
    reply={"valid": bool},
):
    """Ask whether a session is valid, without extending it."""

    sessionUuid: str
    """The uuid of the session."""


@handlers.handles
async def validate_session(services: Services, message: APIValidateSessionMsg, call: Call) -> Reply:
    """Return `{"valid": true}` or `{"valid": false}`."""
    return Reply({"valid": await services.sessions.recognize(message.sessionUuid) is not None})


class APIGetSupportedIdentityModelsMsg(
    SyncMessage,
    method="GET",
    path="/identity-models",
    package=PACKAGE,
    authenticated=False,
    reply={"configs": list[str]},
):
    """List the identity models."""


@handlers.handles
async def get_supported_identity_models(
    services: Services, message: APIGetSupportedIdentityModelsMsg, call: Call
) -> Reply:
    """Return the models that ZStack lists, whatever it runs with."""
    return Reply({"configs": ["IAM", "IAM2"]})


def _require_known(login_type: str) -> None:
    if login_type != ACCOUNT_LOGIN:
        raise operation_failed(f"unsupported login type {login_type}")


def _reply(services: Services, session: LoggedIn) -> Reply:
    inventory = {
        "uuid": session.uuid,
        "accountUuid": session.identity.account_uuid,
        "userUuid": session.identity.user_uuid,
        "expiredDate": write_date(services.clock.local(session.expired_date)),
        "createDate": write_date(services.clock.local(session.create_date)),
        "noSessionEvaluation": False,
    }
    return Reply({"inventory": inventory}, {"inventory": INVENTORY_CLASS})
