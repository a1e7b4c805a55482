"""Sessions: log in and out, expiry, rights (wire-protocol 2.1 to 2.6, 7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from raw_client import ACCOUNT, STORAGE, STORAGES, UNKNOWN, USER, ZONE, ZONES, RawClient, open_raw_client, sha512

from imagestore_sim.bootstrap import Bootstrap
from imagestore_sim.database.models import ADMIN_UUID
from imagestore_sim.node.management_node import ManagementNode
from imagestore_sim.settings import Settings
from imagestore_sim.testing import Client
from rows import rows

pytestmark = pytest.mark.asyncio(loop_scope="module")
V1 = "/zstack/v1"
SESSIONS = f"{V1}/accounts/sessions"
ADMIN = {"accountName": "admin", "password": sha512("password")}
ALICE = {"accountName": "test", "userName": "alice", "password": sha512("wonder")}
GENERIC = {"username": "admin", "password": sha512("password"), "loginType": "account"}
EXPIRED = {
    "code": "ID.1001",
    "description": "The session is invalid, either wrong session id or the session has been expired",
    "details": "Session expired",
    "elaboration": "Error message: Session expired or wrong session ID.",
    "messages": {
        "code": "1001",
        "message_cn": "session 已过期，或者提供了不正确的 session id。",  # noqa: RUF001 - ZStack's own text
        "message_en": "Session expired or wrong session ID.",
        "source": "zstack",
        "distance": 0.0,
        "method": "distance",
    },
    "cost": "1ms",
}
INVENTORY = ["uuid", "accountUuid", "userUuid", "expiredDate", "createDate", "noSessionEvaluation"]
MANDATORY = "field[{}] of message[org.zstack.header.message.ApiMessageParamValidator] is mandatory, can not be null"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def raw_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RawClient]:
    async with open_raw_client(tmp_path_factory.mktemp("sessions")) as raw_client:
        yield raw_client


@rows(
    ("path", "body", "account", "user"),
    [
        pytest.param("/accounts/login", {"logInByAccount": ADMIN}, ADMIN_UUID, ADMIN_UUID, id="2.4 by account"),
        pytest.param(
            "/accounts/login",
            {"logInByAccount": ADMIN | {"password": sha512("password").upper()}},
            ADMIN_UUID,
            ADMIN_UUID,
            id="2.4 hex in either case",
        ),
        pytest.param(
            "/accounts/login",
            {
                "logInByAccount": ADMIN
                | {"accountType": None, "clientInfo": {"clientIp": "1.2.3.4"}, "captchaUuid": "", "systemTags": []}
            },
            ADMIN_UUID,
            ADMIN_UUID,
            id="2.4 with all that may come along",
        ),
        pytest.param("/accounts/users/login", {"logInByUser": ALICE}, ACCOUNT, USER, id="2.5 by user"),
        pytest.param(
            "/accounts/users/login",
            {"logInByUser": {"accountUuid": ACCOUNT, "userName": "alice", "password": sha512("wonder")}},
            ACCOUNT,
            USER,
            id="2.5 by user, account by uuid",
        ),
        pytest.param("/login", {"logIn": GENERIC}, ADMIN_UUID, ADMIN_UUID, id="2.5 generic"),
    ],
)
async def test_a_login(raw_client: RawClient, path: str, body: object, account: str, user: str) -> None:
    answer = await raw_client.send("PUT", f"{V1}{path}", body, anonymous=True)
    assert (answer.status, list(answer.json)) == (200, ["inventory"])
    inventory = answer.json["inventory"]
    assert list(inventory) == INVENTORY
    assert (inventory["accountUuid"], inventory["userUuid"]) == (account, user)
    assert inventory["noSessionEvaluation"] is False
    assert (await raw_client.send("GET", ZONES, Authorization=f"OAuth {inventory['uuid']}")).status == 200


async def test_a_login_has_a_schema_on_request(raw_client: RawClient) -> None:
    """Source: wire-protocol 2.4."""
    answer = await raw_client.send("PUT", f"{V1}/accounts/login", {"logInByAccount": ADMIN}, X_JSON_Schema="true")
    assert answer.json["schema"] == {"inventory": "org.zstack.header.identity.SessionInventory"}


@rows(
    ("path", "body", "code", "details"),
    [
        pytest.param("/accounts/login", {"logInByAccount": ADMIN | {"password": "x"}}, "ID.1000",
            "wrong account name or password", id="2.4 wrong password"),
        pytest.param("/accounts/login", {"logInByAccount": ADMIN | {"accountName": "nobody"}}, "ID.1000",
            "wrong account name or password", id="2.4 unknown account"),
        pytest.param("/accounts/login", {"logInByAccount": {"accountName": "", "password": ""}}, "ID.1000",
            "wrong account name or password", id="2.4 empty"),
        pytest.param("/accounts/login", {"logInByAccount": {}}, "SYS.1007", MANDATORY.format("password"),
            id="2.4 the password is looked at first"),
        pytest.param("/accounts/login", {"foo": {}}, "SYS.1007", MANDATORY.format("password"), id="1.3 another key"),
        pytest.param("/accounts/login", {"logInByAccount": {"password": "x"}}, "SYS.1007",
            MANDATORY.format("accountName"), id="2.4 no account"),
        pytest.param("/accounts/users/login", {"logInByUser": ALICE | {"password": "x"}}, "ID.1000",
            "wrong account or username or password", id="2.5 wrong password"),
        pytest.param("/accounts/users/login", {"logInByUser": ALICE | {"accountName": "admin"}}, "ID.1000",
            "wrong account or username or password", id="2.5 not of that account"),
        pytest.param("/accounts/users/login", {"logInByUser": ALICE | {"accountName": None}}, "SYS.1007",
            "accountName and accountUuid cannot both be null, you must specify at least one", id="2.5 no account"),
        pytest.param("/login", {"logIn": GENERIC | {"loginType": "ldap"}}, "SYS.1006", "unsupported login type ldap",
            id="2.5 unknown type"),
        pytest.param("/login", {"logIn": GENERIC | {"password": "x"}}, "ID.1000", "wrong account name or password",
            id="2.5 generic, wrong password"),
    ],
)  # fmt: skip
async def test_a_refused_login(raw_client: RawClient, path: str, body: object, code: str, details: str) -> None:
    answer = await raw_client.send("PUT", f"{V1}{path}", body, anonymous=True)
    assert (answer.status, answer.error["code"], answer.error["details"]) == (503, code, details)


async def test_a_wrong_password_is_explained(raw_client: RawClient) -> None:
    """Every member, in order (wire-protocol 2.4, 7.1)."""
    body = {"logInByAccount": ADMIN | {"password": "x"}}
    answer = await raw_client.send("PUT", f"{V1}/accounts/login", body, anonymous=True)
    assert list(answer.error.items()) == [
        ("code", "ID.1000"),
        ("description", "Unable to authenticate a user"),
        ("details", "wrong account name or password"),
        ("elaboration", "Error message: Wrong account name or password."),
        ("location", "process-login (location:2/2)"),
        (
            "messages",
            {
                "code": "1000",
                "message_cn": "错误的帐号或密码。",
                "message_en": "Wrong account name or password.",
                "source": "zstack",
                "distance": 0.0,
                "method": "distance",
            },
        ),
        ("cost", "1ms"),
    ]


@rows(
    ("header", "status", "text"),
    [
        pytest.param(None, 400, "missing header 'Authorization'", id="1.5 none"),
        pytest.param("Bearer x", 400, "Authorization type must be 'OAuth'", id="2.2 another scheme"),
        pytest.param("oauth {}", 400, "Authorization type must be 'OAuth'", id="2.2 its case counts"),
        pytest.param("OAuth {}", 200, "", id="2.2 one space"),
        pytest.param("OAuth{}", 200, "", id="2.2 no space"),
        pytest.param("  OAuth    {}  ", 200, "", id="2.2 many spaces"),
        pytest.param("OAuth", 503, "", id="2.2 no session"),
    ],
)
async def test_the_authorization_header(raw_client: RawClient, header: str | None, status: int, text: str) -> None:
    headers = {} if header is None else {"authorization": header.format(raw_client.session)}
    answer = await raw_client.send("GET", ZONES, anonymous=True, **headers)
    assert answer.status == status
    assert not text or answer.text == text


@rows("session", ["", "nosuch", "null", UNKNOWN])
async def test_a_bad_session_fails_a_synchronous_call_at_once(raw_client: RawClient, session: str) -> None:
    """Every member, in order (wire-protocol 2.3, 1.5)."""
    answer = await raw_client.send("GET", ZONES, Authorization=f"OAuth {session}")
    assert (answer.status, list(answer.error.items())) == (503, list(EXPIRED.items()))


async def test_a_bad_session_fails_an_asynchronous_call_through_its_job(raw_client: RawClient) -> None:
    """Source: wire-protocol 1.5."""
    accepted = await raw_client.send("POST", ZONES, {"params": {"name": "z"}}, Authorization="OAuth nosuch")
    ended = await raw_client.follow(accepted)
    assert (accepted.status, ended.status, ended.error) == (202, 503, EXPIRED)


@rows(
    ("method", "path", "body"),
    [
        ("PUT", "/accounts/login", {"logInByAccount": ADMIN}),
        ("PUT", "/accounts/users/login", {"logInByUser": ALICE}),
        ("PUT", "/login", {"logIn": GENERIC}),
        ("GET", "/login/procedures?username=admin&loginType=account", None),
        ("DELETE", f"/accounts/sessions/{UNKNOWN}", None),
        ("GET", f"/accounts/sessions/{UNKNOWN}/valid", None),
        ("GET", "/management-nodes/ready", None),
        ("PUT", "/management-nodes/actions", {"getVersion": {}}),
        ("PUT", "/management-nodes/actions", {"getCurrentTime": {}}),
        ("PUT", "/management-nodes/actions", {"getManagementNodeArch": {}}),
        ("PUT", "/management-nodes/actions", {"getSupportAPIs": {}}),
        ("PUT", "/management/actions", {"getManagementNodeOS": {}}),
        ("GET", "/meta-data/opensource", None),
        ("GET", "/identity-models", None),
    ],
)
async def test_these_apis_need_no_session(raw_client: RawClient, method: str, path: str, body: object) -> None:
    """Source: wire-protocol 2.1."""
    assert (await raw_client.send(method, f"{V1}{path}", body, anonymous=True)).status == 200


@rows("path", ["/management-nodes", "/management-nodes/platform-timezone", "/zones", "/backup-storage"])
async def test_all_other_apis_need_a_session(raw_client: RawClient, path: str) -> None:
    """Source: wire-protocol 2.1."""
    assert (await raw_client.send("GET", f"{V1}{path}", anonymous=True)).text == "missing header 'Authorization'"
    assert (await raw_client.send("GET", f"{V1}{path}", Authorization="OAuth x")).error["code"] == "ID.1001"


class TestASession:
    """The life of a session, by a clock that the test moves (wire-protocol 2.3, 2.6)."""

    async def test_a_session_lasts_two_hours_after_its_last_call(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            for _ in range(3):
                raw_client.clock.ahead += 7190
                assert (await raw_client.send("GET", ZONES)).status == 200
            raw_client.clock.ahead += 7201
            assert (await raw_client.send("GET", ZONES)).error == EXPIRED
            assert (await raw_client.send("GET", f"{SESSIONS}/{raw_client.session}/valid")).json == {"valid": False}

    async def test_asking_whether_it_is_valid_does_not_extend_it(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            for _ in range(3):
                assert (await raw_client.send("GET", f"{SESSIONS}/{raw_client.session}/valid")).json == {"valid": True}
                raw_client.clock.ahead += 2500
            assert (await raw_client.send("GET", f"{SESSIONS}/{raw_client.session}/valid")).json == {"valid": False}

    async def test_a_renewal_holds_until_the_next_call(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            body = {"renewSession": {"duration": 86400}}
            renewed = await raw_client.call("PUT", f"{SESSIONS}/{raw_client.session}/renew", body)
            assert list(renewed.json["inventory"]) == INVENTORY
            raw_client.clock.ahead += 80000
            assert (await raw_client.send("GET", ZONES)).status == 200
            raw_client.clock.ahead += 7201
            assert (await raw_client.send("GET", ZONES)).error == EXPIRED

    async def test_the_time_out_is_an_option(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            option = f"{V1}/global-configurations/identity/session.timeout/actions"
            await raw_client.call("PUT", option, {"updateGlobalConfig": {"value": "60"}})
            await raw_client.send("GET", ZONES)
            raw_client.clock.ahead += 61
            assert (await raw_client.send("GET", ZONES)).error == EXPIRED

    async def test_an_expired_one_is_purged_within_an_hour(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            raw_client.clock.ahead += 7201
            await raw_client.node.parts.sessions.purge()
            renewed = await raw_client.call("PUT", f"{SESSIONS}/{raw_client.session}/renew", {"renewSession": {}})
            assert renewed.error["code"] == "SYS.1003"
            assert 3600 in raw_client.clock.waits

    async def test_a_session_survives_a_restart(self, tmp_path: Path) -> None:
        settings = Settings(port=0, database=str(tmp_path / "node.db"))
        node = ManagementNode(settings)
        await node.start(Bootstrap())
        async with Client(node.url) as client:
            session = await client.log_in()
        await node.stop()
        node = ManagementNode(settings)
        await node.start(Bootstrap())
        async with Client(node.url) as client:
            client.session_uuid = session
            assert await client.query("/zones") == []
        await node.stop()

    @pytest.mark.thorough
    async def test_a_user_has_at_most_five_hundred_sessions(self, tmp_path: Path) -> None:
        async with open_raw_client(tmp_path) as raw_client:
            await asyncio.gather(*(raw_client.log_in() for _ in range(499)))
            refused = await raw_client.send("PUT", f"{V1}/accounts/login", {"logInByAccount": ADMIN}, anonymous=True)
            assert (refused.error["code"], refused.error["details"]) == (
                "ID.1006",
                "Login sessions hit limit of max allowed concurrent login sessions",
            )
            await raw_client.log_in("test", "secret")  # of another user
            raw_client.clock.ahead += 7201
            await raw_client.log_in()


@rows(
    ("session", "duration", "code", "details"),
    [
        pytest.param(UNKNOWN, None, "SYS.1003",
            f"invalid field[sessionUuid], resource[uuid:{UNKNOWN}, type:SessionVO] not found", id="unknown"),
        pytest.param("", 59, "SYS.1007", "field[duration] must be in range of [60, 31536000]", id="too short"),
        pytest.param("", 31536001, "SYS.1007", "field[duration] must be in range of [60, 31536000]", id="too long"),
    ],
)  # fmt: skip
async def test_an_invalid_renewal_is_refused(
    raw_client: RawClient, session: str, duration: int | None, code: str, details: str
) -> None:
    """A renewal is asynchronous, so it fails through its job (wire-protocol 2.6)."""
    body = {"renewSession": {"duration": duration}}
    accepted = await raw_client.send("PUT", f"{SESSIONS}/{session or raw_client.session}/renew", body)
    ended = await raw_client.follow(accepted)
    assert (ended.error["code"], ended.error["details"]) == (code, details)


async def test_a_renewal_needs_a_session_itself(raw_client: RawClient) -> None:
    """Source: wire-protocol 2.6."""
    answer = await raw_client.send(
        "PUT", f"{SESSIONS}/{raw_client.session}/renew", {"renewSession": {}}, anonymous=True
    )
    assert answer.text == "missing header 'Authorization'"


async def test_logging_out_ends_the_session_and_may_be_repeated(raw_client: RawClient) -> None:
    """The body is `{}`, whether the session is known or not (wire-protocol 2.6)."""
    session = (await raw_client.log_in())["uuid"]
    for query in ("", "?deleteMode="):
        answer = await raw_client.send("DELETE", f"{SESSIONS}/{session}{query}", anonymous=True)
        assert (answer.status, answer.text) == (200, "{}")
    assert (await raw_client.send("GET", ZONES, Authorization=f"OAuth {session}")).error == EXPIRED


@rows(
    ("method", "target", "body", "java_class"),
    [
        ("POST", STORAGES, {"params": {"name": "n", "hostname": "h", "username": "u", "password": "p", "url": "/z"}},
         "org.zstack.storage.backup.imagestore.APIAddImageStoreBackupStorageMsg"),
        ("PUT", f"{STORAGES}/{STORAGE}/actions", {"updateImageStoreBackupStorage": {"name": "x"}},
         "org.zstack.storage.backup.imagestore.APIUpdateImageStoreBackupStorageMsg"),
        ("PUT", f"{V1}/backup-storage/{STORAGE}/actions", {"changeBackupStorageState": {"stateEvent": "disable"}},
         "org.zstack.header.storage.backup.APIChangeBackupStorageStateMsg"),
        ("DELETE", f"{V1}/backup-storage/{STORAGE}", None,
         "org.zstack.header.storage.backup.APIDeleteBackupStorageMsg"),
        ("POST", f"{ZONES}/{ZONE}/backup-storage/{STORAGE}", None,
         "org.zstack.header.storage.backup.APIAttachBackupStorageToZoneMsg"),
        ("POST", ZONES, {"params": {"name": "z"}}, "org.zstack.header.zone.APICreateZoneMsg"),
        ("GET", f"{V1}/management-nodes", None, "org.zstack.header.managementnode.APIQueryManagementNodeMsg"),
        ("PUT", f"{V1}/global-configurations/backupStorage/ping.interval/actions",
         {"updateGlobalConfig": {"value": "5"}}, "org.zstack.core.config.APIUpdateGlobalConfigMsg"),
    ],
)  # fmt: skip
@rows("user", [False, True], ids=["account", "user"])
async def test_these_apis_are_for_admin_only(
    raw_client: RawClient, method: str, target: str, body: object, java_class: str, user: bool
) -> None:
    """Source: wire-protocol 7.3."""
    if user:
        login = await raw_client.send("PUT", f"{V1}/accounts/users/login", {"logInByUser": ALICE}, anonymous=True)
        session = login.json["inventory"]["uuid"]
    else:
        session = (await raw_client.log_in("test", "secret"))["uuid"]
    answer = await raw_client.call(method, target, body, Authorization=f"OAuth {session}")
    text = f"request api[name: {java_class}] is admin only, can not be executed by current user"
    assert (answer.error["code"], answer.error["details"]) == ("ID.1002", text)


@rows("path", ["/zones", "/backup-storage", "/management-nodes/platform-timezone"])
async def test_every_account_may_query(raw_client: RawClient, path: str) -> None:
    """Source: wire-protocol 7.3."""
    session = (await raw_client.log_in("test", "secret"))["uuid"]
    assert (await raw_client.send("GET", f"{V1}{path}", Authorization=f"OAuth {session}")).status == 200


async def test_the_other_answers_about_logging_in(raw_client: RawClient) -> None:
    """Source: wire-protocol 2.1."""
    procedures = f"{V1}/login/procedures?username=admin&loginType="
    assert (await raw_client.send("GET", f"{procedures}account", anonymous=True)).json == {"procedures": []}
    assert (await raw_client.send("GET", f"{procedures}x", anonymous=True)).error[
        "details"
    ] == "unsupported login type x"
    assert (await raw_client.send("GET", f"{V1}/identity-models", anonymous=True)).json == {"configs": ["IAM", "IAM2"]}


@rows("name", ["ADMIN", "Admin", "ádmin", "admin  "])
async def test_names_are_compared_as_zstack_s_database_does(raw_client: RawClient, name: str) -> None:
    """Case, accents and trailing blanks do not count, nor do trailing blanks of a password (observed 8)."""
    body = {"logInByAccount": {"accountName": name, "password": f"{sha512('password')} "}}
    answer = await raw_client.send("PUT", f"{V1}/accounts/login", body, anonymous=True)
    assert answer.status == 200, answer.text


@rows(("kind", "status"), [("account", 200), (None, 200), ("SystemAdmin", 503), ("Normal", 503)])
async def test_accounts_of_plug_ins_do_not_exist(raw_client: RawClient, kind: str | None, status: int) -> None:
    body = {"logInByAccount": {"accountName": "admin", "password": sha512("password"), "accountType": kind}}
    assert (await raw_client.send("PUT", f"{V1}/accounts/login", body, anonymous=True)).status == status
