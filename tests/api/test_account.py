"""Accounts, users, groups and access keys (observed 8, 9, 20; wire-protocol 2.7)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import yaml

from fixed_data import B1, I1
from imagestore_sim.identity.shares import Shares
from imagestore_sim.images.images import Images
from imagestore_sim.rest.authentication import sign
from imagestore_sim.testing import CallFailed, Client
from other_accounts import ADD, ADMIN, OTHER_PASSWORD, PASSWORD, client_of, new_account
from rows import rows


async def test_an_account_is_created_changed_and_deleted(fixed: Client) -> None:
    body = {"params": {"name": "ann", "password": PASSWORD, "description": "first"}}
    created = (await fixed.call("POST", "/accounts", body))["inventory"]
    assert (created["name"], created["type"], created["description"]) == ("ann", "Normal", "first")
    path = f"/accounts/{created['uuid']}"
    async with client_of(fixed, "ann") as ann:
        changed = await ann.call("PUT", path, {"updateAccount": {"name": "anna", "password": OTHER_PASSWORD}})
        assert changed["inventory"]["name"] == "anna"
        assert await ann.query("/zones")  # a new password ends no session
        async with client_of(fixed, "anna", "other"):
            pass
        image = (await ann.call("POST", "/images", {"params": ADD}))["inventory"]["uuid"]
        assert await fixed.call("DELETE", path) == {}
        with pytest.raises(CallFailed) as failed:
            await ann.query("/zones")
        assert failed.value.code == "ID.1001"
    [orphan] = await fixed.query(f"/images/{image}")
    assert (orphan["status"], orphan["backupStorageRefs"][0]["status"]) == ("Deleted", "Deleted")
    owners = await fixed.call("GET", "/resources/accounts", query=[("resourceUuids", image)])
    assert owners["inventories"][image]["uuid"] == ADMIN
    assert await fixed.query("/accounts", "name=anna") == []
    assert await fixed.query("/accounts/quotas") == []


@pytest.mark.parametrize("work", [(Images, "add"), (Shares, "without_owner")], ids=["added", "given"])
async def test_an_account_that_is_deleted_during_a_call_gets_no_image(
    fixed: Client, work: tuple[type, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call has passed all checks, and has not written yet."""
    done, checked, deleted = getattr(*work), asyncio.Event(), asyncio.Event()

    async def held(*arguments: object) -> object:
        checked.set()
        await deleted.wait()
        return await done(*arguments)

    monkeypatch.setattr(*work, held)
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann, asyncio.timeout(60):
        if work[0] is Images:
            call = ann.call("POST", "/images", {"params": {**ADD, "backupStorageUuids": [B1]}})
        else:
            call = fixed.call("POST", f"/account/{account}/resources", {"params": {"resourceUuid": I1}})
        running = asyncio.create_task(call)
        await checked.wait()
        await fixed.call("DELETE", f"/accounts/{account}")
        deleted.set()
        with pytest.raises(CallFailed, match="type:AccountVO") as failed:
            await running
    assert failed.value.code == "SYS.1003"
    taken = await fixed.request("GET", f"{fixed.url}/lab/v1/snapshot")
    assert taken.status == 200
    assert {one.get("account", "admin") for one in yaml.safe_load(taken.text)["images"]} == {"admin"}


@rows(
    ("method", "path", "body", "details"),
    [
        ("POST", "/accounts", {"params": {"name": "ADMIN ", "password": "x"}}, "unable to create an account"),
        ("POST", "/accounts", {"params": {"name": "x"}}, r"field\[password\] .* is mandatory"),
        ("POST", "/accounts", {"params": {"name": "x", "password": "x", "type": "foo"}}, "foo found"),
        ("PUT", f"/accounts/{ADMIN}", {"updateAccount": {"name": "root"}}, "name of admin account cannot be updated"),
        ("PUT", f"/accounts/{ADMIN}", {"updateAccount": {"name": "admin"}}, "unable to update name"),
        ("PUT", f"/accounts/{ADMIN}", {"updateAccount": {"oldPassword": "x"}}, "old password is not equal"),
        ("DELETE", f"/accounts/{ADMIN}", None, "account cannot delete itself"),
        ("PUT", "/accounts/users/actions", {"updateUser": {"name": "x"}}, "You need to specify the field"),
    ],
)
async def test_what_accounts_refuse(
    fixed: Client, method: str, path: str, body: dict[str, object] | None, details: str
) -> None:
    with pytest.raises(CallFailed, match=details):
        await fixed.call(method, path, body)


async def test_users_and_groups_belong_to_the_account_that_creates_them(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        user = {"params": {"name": "kid", "password": PASSWORD}}
        kid = (await ann.call("POST", "/accounts/users", user))["inventory"]
        assert kid["accountUuid"] == account
        with pytest.raises(CallFailed, match=f"A user called kid is already under the account\\[uuid:{account}\\]"):
            await ann.call("POST", "/accounts/users", user)
        await fixed.call("POST", "/accounts/users", {"params": {"name": "kid", "password": PASSWORD}})
        assert (len(await fixed.query("/accounts/users")), len(await ann.query("/accounts/users"))) == (2, 1)
        log_in_user = {"logInByUser": {"accountName": "ann", "userName": "kid", "password": PASSWORD}}
        session = (await fixed.call("PUT", "/accounts/users/login", log_in_user))["inventory"]["uuid"]
        valid = f"/accounts/sessions/{session}/valid"
        assert await fixed.call("GET", valid) == {"valid": True}
        changed = {"updateUser": {"uuid": kid["uuid"], "description": "tall"}}
        assert (await ann.call("PUT", "/accounts/users/actions", changed))["inventory"]["description"] == "tall"
        assert await ann.call("DELETE", f"/accounts/users/{kid['uuid']}") == {}
        assert await fixed.call("GET", valid) == {"valid": False}
        group = (await ann.call("POST", "/accounts/groups", {"params": {"name": "staff"}}))["inventory"]
        assert "lastOpDate" not in group
        assert [one["uuid"] for one in await ann.query("/accounts/groups", "account.name=ann")] == [group["uuid"]]
        assert await ann.call("DELETE", f"/accounts/groups/{group['uuid']}") == {}
        assert await fixed.query("/accounts/groups") == []


async def test_policies_and_roles_are_records_of_an_account(fixed: Client) -> None:
    await new_account(fixed, "ann")
    statement = {"name": "s", "effect": "Allow", "actions": ["image:*"]}
    async with client_of(fixed, "ann") as ann:
        given = {"params": {"name": "p", "statements": [statement]}}
        policy = (await ann.call("POST", "/accounts/policies", given))["inventory"]
        assert policy["statements"] == [statement]
        assert {one["name"] for one in await ann.query("/accounts/policies")} == {"DEFAULT-READ", "p"}
        role = (await ann.call("POST", "/identities/roles", given))["inventory"]
        [kept] = role["statements"]
        assert (kept["statement"], kept["roleUuid"], role["policies"]) == (statement, role["uuid"], [])
        assert (await ann.query("/identities/roles"))[0]["statements"] == role["statements"]
        assert await ann.call("DELETE", f"/accounts/policies/{policy['uuid']}") == {}
        assert await ann.call("DELETE", f"/identities/roles/{role['uuid']}") == {}
        assert (len(await ann.query("/accounts/policies")), await ann.query("/identities/roles")) == (1, [])
        broken = [({"actions": ["x"]}, "effect field"), ({"effect": "Deny", "actions": []}, "non-empty action")]
        for bad, text in broken:
            with pytest.raises(CallFailed, match=text):
                await ann.call("POST", "/accounts/policies", {"params": {"name": "p", "statements": [bad]}})
    assert (await fixed.request("POST", "/accounts/policies", {"params": {"statements": {}}})).status == 500


async def test_an_access_key_signs_requests_until_it_is_disabled(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        body = {"params": {"accountUuid": account, "userUuid": account}}
        key = (await ann.call("POST", "/accesskeys", body))["inventory"]
        assert (len(key["AccessKeyID"]), len(key["AccessKeySecret"]), key["state"]) == (20, 40, "Enabled")
        assert (key["AccessKeyID"] + key["AccessKeySecret"]).isalnum()

        async def status() -> int:
            when = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} UTC"
            signature = sign(key["AccessKeySecret"], "GET", when, "/v1/images")
            headers = {"Date": when, "Authorization": f"ZStack {key['AccessKeyID']}:{signature}"}
            return (await fixed.request("GET", "/images", headers=headers)).status

        assert await status() == 200
        path = f"/accesskeys/{key['uuid']}"
        assert "AccessKeySecret" not in (await ann.query("/accesskeys", f"AccessKeyID={key['AccessKeyID']}"))[0]
        disabled = await ann.call("PUT", f"{path}/actions", {"changeAccessKeyState": {"stateEvent": "disable"}})
        assert disabled["inventory"]["state"] == "Disabled"
        assert await status() == 403
        await ann.call("PUT", f"{path}/actions", {"changeAccessKeyState": {"stateEvent": "enable"}})
        assert await status() == 200
        assert await ann.call("DELETE", path) == {}
        assert await status() == 403


async def test_an_access_key_may_be_chosen_once(fixed: Client) -> None:
    chosen = {"accountUuid": ADMIN, "userUuid": ADMIN, "AccessKeyID": "0123456789", "AccessKeySecret": "abcdefghij"}
    key = (await fixed.call("POST", "/accesskeys", {"params": chosen}))["inventory"]
    assert chosen.items() <= key.items()
    with pytest.raises(CallFailed, match="ConstraintViolationException"):
        await fixed.call("POST", "/accesskeys", {"params": chosen})
    with pytest.raises(CallFailed, match=f"the account\\[uuid:{ADMIN}\\] has no user\\[uuid:x\\]"):
        await fixed.call("POST", "/accesskeys", {"params": {"accountUuid": ADMIN, "userUuid": "x"}})


async def test_a_snapshot_keeps_accounts_with_all_that_belongs_to_them(fixed: Client) -> None:
    account = await new_account(fixed, "ann")
    async with client_of(fixed, "ann") as ann:
        await ann.call("POST", "/accounts/users", {"params": {"name": "kid", "password": PASSWORD}})
        await ann.call("POST", "/accounts/groups", {"params": {"name": "staff"}})
        await ann.call("POST", "/accesskeys", {"params": {"accountUuid": account, "userUuid": account}})
        statements = [{"effect": "Allow", "actions": ["image:*"]}]
        for path in ("/accounts/policies", "/identities/roles"):
            await ann.call("POST", path, {"params": {"name": "p", "statements": statements}})
        quota = {"identityUuid": account, "name": "image.num", "value": 3}
        await fixed.call("PUT", "/accounts/quotas/actions", {"updateQuota": quota})
        share = {"resourceUuids": [I1], "accountUuids": [account]}
        await fixed.call("PUT", "/accounts/resources/actions", {"shareResource": share})
        owned = ("users", "groups", "policies", "quotas", "resources")
        paths = ["/accounts", *(f"/accounts/{one}" for one in owned), "/accesskeys", "/identities/roles"]
        before = [await fixed.query(path) for path in paths]
        url = f"{fixed.url}/lab/v1/snapshot"
        taken = (await fixed.request("GET", url)).text
        [record] = [one for one in yaml.safe_load(taken)["accounts"] if one["name"] == "ann"]
        assert record["quotas"] == {"image.num": 3}
        assert (await fixed.request("PUT", url, data=b"{}")).status == 200
        await fixed.log_in()
        assert [len(await fixed.query(path)) for path in paths] == [1, 0, 0, 0, 0, 0, 0, 0]
        assert (await fixed.request("PUT", url, data=taken.encode())).status == 200
        await fixed.log_in()
        after = [await fixed.query(path) for path in paths]
        for rows in (*before, *after):
            for row in rows:
                row.pop("createDate", None), row.pop("lastOpDate", None)
        assert after == before


async def test_a_snapshot_tells_the_first_policy_of_an_account_from_others_of_its_name(fixed: Client) -> None:
    statements = [{"effect": "Allow", "actions": ["image:*"]}]
    paths = ("/accounts/policies", "/accounts/users", "/accounts/groups")

    async def fill(client: Client) -> str:
        """Make a policy DEFAULT-READ of an account, which a user and a group have; return its uuid."""
        made = {}
        for path, more in (("policies", {"statements": statements}), ("users", {"password": PASSWORD}), ("groups", {})):
            given = {"params": {"name": "DEFAULT-READ", **more}}
            made[path] = (await client.call("POST", f"/accounts/{path}", given))["inventory"]["uuid"]
        for path in ("users", "groups"):
            having = {"params": {"policyUuid": made["policies"]}}
            await client.call("POST", f"/accounts/{path}/{made[path]}/policies", having)
        return str(made["policies"])

    async def policies() -> list[tuple[list[str], ...]]:
        """Return the uuids of all policies, and of those that each user and each group has."""
        queries = ("/accounts/users", "/accounts/groups")
        every = [one["uuid"] for one in await fixed.query(paths[0], sort="+uuid")]
        return [
            ([policy], *[[one["uuid"] for one in await fixed.query(path, f"policy.uuid={policy}")] for path in queries])
            for policy in every
        ]

    for name in ("both", "own", "none"):
        await new_account(fixed, name)
        async with client_of(fixed, name) as client:
            own = "" if name == "none" else await fill(client)
            if name != "both":
                [first] = [one for one in await client.query(paths[0]) if one["uuid"] != own]
                await client.call("DELETE", f"/accounts/policies/{first['uuid']}")
    await fill(fixed)
    before, url = await policies(), f"{fixed.url}/lab/v1/snapshot"
    taken = (await fixed.request("GET", url)).text
    assert [len(one) for one in before] == [3] * 4
    for _ in range(2):  # over nothing, and over what is the same
        assert (await fixed.request("PUT", url, data=taken.encode())).status == 200
        await fixed.log_in()
        assert await policies() == before
        await fixed.request("PUT", url, data=b"{}")
        await fixed.log_in()
