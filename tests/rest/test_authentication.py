"""Logging in and out, and how long a session lasts (wire-protocol 2.3-2.6)."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulator.bootstrap import Bootstrap
from simulator.lab import Lab
from simulator.node import ManagementNode
from simulator.rest.authentication import ADMIN_UUID, TIMEOUT_SECONDS
from simulator.settings import Settings
from simulator.testing import CallFailed, Client

pytestmark = pytest.mark.imagestore_lab(hosts=0)


async def test_a_login_answers_the_session(imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url) as client:
        await client.log_in()
        assert (await client.call("GET", f"/accounts/sessions/{client.session_uuid}/valid")) == {"valid": True}


async def test_an_account_s_session_is_its_user_s_too(imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url) as client:
        answer = await client.request(
            "PUT",
            "/accounts/login",
            {"logInByAccount": {"accountName": "admin", "password": _sha512("password").upper(), "accountType": None}},
        )
    inventory = answer.body["inventory"]
    assert inventory["accountUuid"] == inventory["userUuid"] == ADMIN_UUID
    assert inventory["noSessionEvaluation"] is False
    assert set(inventory) == {"uuid", "accountUuid", "userUuid", "expiredDate", "createDate", "noSessionEvaluation"}
    assert "schema" not in answer.body


@pytest.mark.parametrize(("account", "password"), [("admin", "wrong"), ("nobody", "password"), ("", "")])
async def test_wrong_credentials_are_refused_alike(imagestore_lab: Lab, account: str, password: str) -> None:
    async with Client(imagestore_lab.url) as client:
        with pytest.raises(CallFailed) as caught:
            await client.log_in(account, password)
    assert (caught.value.status, caught.value.code) == (503, "ID.1000")
    assert caught.value.error["details"] == "wrong account name or password"


@pytest.mark.parametrize("body", [{}, {"foo": {}}, {"logInByAccount": {}}, {"logInByAccount": {"accountName": "a"}}])
async def test_a_login_without_a_password_is_an_invalid_argument(imagestore_lab: Lab, body: dict[str, object]) -> None:
    async with Client(imagestore_lab.url) as client:
        answer = await client.request("PUT", "/accounts/login", body)
    assert (answer.status, answer.body["error"]["code"]) == (503, "SYS.1007")
    assert answer.body["error"]["details"].startswith("field[password] of message[")


async def test_logging_out_ends_the_session_and_may_be_repeated(imagestore_client: Client) -> None:
    session = imagestore_client.session_uuid
    for _ in range(2):
        assert await imagestore_client.call("DELETE", f"/accounts/sessions/{session}", query=[("deleteMode", "")]) == {}
    assert await imagestore_client.call("GET", f"/accounts/sessions/{session}/valid") == {"valid": False}
    with pytest.raises(CallFailed, match="Session expired"):
        await imagestore_client.query("/zones")


async def test_a_session_outlives_a_restart(tmp_path: Path) -> None:
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


async def test_the_five_hundred_and_first_session_of_a_user_is_refused(imagestore_lab: Lab) -> None:
    async with Client(imagestore_lab.url) as client:
        for _ in range(500):
            await client.log_in()
        with pytest.raises(CallFailed) as caught:
            await client.log_in()
    assert caught.value.code == "ID.1006"


def test_a_session_lasts_two_hours_after_its_last_call() -> None:
    assert TIMEOUT_SECONDS == 2 * 3600


def _sha512(text: str) -> str:
    import hashlib

    return hashlib.sha512(text.encode()).hexdigest()
